// A disk in memory that can lose its power. What was not synced is then lost, kept or reordered: every 4 KiB page of a
// file is what it was at the last sync or at any time since, every length and every name likewise. Files that a
// directory's sync did not cover may have no name. Directories themselves are durable at once.
//
// Faults: the operation with a given number fails, once or from then on.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/support/scratch_directory.h"
#include "volume/layer/layer_storage.h"

namespace pgstrata::test {

class SimulatedDisk final : public layer::LayerStorage {
 public:
  explicit SimulatedDisk(uint64_t seed) : random_(seed) {}

  // The power fails and comes back. Whoever used the disk is gone.
  void Cut();

  enum class Fault { kIo, kNoSpace, kShortWrite };
  // The operation with this number (from 1, those before this call not counted) fails: only that one, or with `forever`
  // every one from it on. Reads, writes, syncs and changes of names are operations.
  void FailAt(uint64_t number, Fault fault, bool forever);
  void StopFailing();
  // Nothing fails or counts meanwhile.
  void Suspend(bool suspended) { suspended_ = suspended; }
  [[nodiscard]] uint64_t operations() const { return operations_; }
  // Whether the fault came to pass since FailAt, and whether it lost what was written to a data file.
  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] bool lost_data() const { return lost_data_; }

  Result<std::shared_ptr<layer::StorageFile>> Open(const std::string& path, layer::OpenMode mode) override;
  Status MakeDirectories(const std::string& path) override;
  Result<std::vector<std::string>> List(const std::string& directory) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Status Link(const std::string& from, const std::string& to) override;
  Status Remove(const std::string& path) override;
  Status SyncDirectory(const std::string& path) override;
  Result<io::DiskSpace> Space(const std::string& directory) override;
  Result<io::FileLock> Lock(const std::string& path) override;

  // For tests that damage what is there.
  [[nodiscard]] std::string Content(const std::string& path);
  void SetContent(const std::string& path, const std::string& content);
  using Snapshot = std::map<std::string, std::map<std::string, std::string>>;  // content by directory and name
  [[nodiscard]] Snapshot Save();
  void Load(const Snapshot& snapshot);

 private:
  static constexpr uint64_t kPage = 4096;
  static constexpr size_t kSector = 512;  // what is written wholly or not at all
  struct Inode {
    bool is_data = false;  // a file in blobs/
    std::string content;
    std::string durable;
    std::map<uint64_t, std::vector<std::string>> unsynced_pages;  // every content since the last sync
    std::vector<uint64_t> unsynced_sizes;
  };
  using InodePtr = std::shared_ptr<Inode>;
  struct NameChange {
    std::string removed;  // empty: none
    std::string added;    // empty: none
    InodePtr inode;
  };
  struct Directory {
    std::map<std::string, InodePtr> names;
    std::map<std::string, InodePtr> durable;
    std::vector<NameChange> unsynced;
  };
  class File;

  // These with mutex_ held.
  std::optional<Fault> Count();
  static Error Failure(Fault fault);
  static void NotePages(Inode& inode, uint64_t begin, uint64_t end);
  void CutInode(Inode& inode);
  void LosePages(Inode& inode);
  static std::pair<std::string, std::string> Split(const std::string& path);
  uint64_t Below(uint64_t limit) { return random_() % limit; }

  std::mutex mutex_;
  std::mt19937_64 random_;
  std::map<std::string, Directory> directories_;
  uint64_t operations_ = 0;
  uint64_t fail_at_ = 0;
  Fault fault_ = Fault::kIo;
  bool fail_forever_ = false;
  bool suspended_ = false;
  bool failed_ = false;
  bool lost_data_ = false;
  const ScratchDirectory locks_;
};

}  // namespace pgstrata::test
