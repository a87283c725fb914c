// A directory of files whose text is made when somebody looks for them: what a process says about itself. Nothing in it
// can be changed (EPERM). A file is what it was when it was looked up, so that its length and its bytes fit; the next
// look-up of its name gives another inode.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "volume/vfs/file_system.h"

namespace pgstrata::vfs {

struct TextFile {
  std::string name;
  // Nothing: the file is not there just now. From any thread.
  std::function<std::optional<std::string>()> text;
};

class TextDirectory final : public FileSystem {
 public:
  TextDirectory(std::vector<TextFile> files, Owner owner) : files_(std::move(files)), owner_(owner) {}

  FsResult<Attributes> Lookup(Inode parent, std::string_view name) override;
  void Forget(Inode inode, uint64_t references) override;
  FsResult<Attributes> GetAttributes(Inode inode) override;
  FsResult<Attributes> SetAttributes(Inode, const AttributeChange&) override { return FsError(EPERM); }
  FsResult<std::string> ReadLink(Inode) override { return FsError(EINVAL); }
  FsResult<Attributes> CreateFile(Inode, std::string_view, mode_t, Owner) override { return FsError(EPERM); }
  FsResult<Attributes> MakeDirectory(Inode, std::string_view, mode_t, Owner) override { return FsError(EPERM); }
  FsResult<Attributes> MakeLink(Inode, std::string_view, std::string_view, Owner) override { return FsError(EPERM); }
  FsResult<Attributes> Link(Inode, Inode, std::string_view) override { return FsError(EPERM); }
  FsStatus Unlink(Inode, std::string_view) override { return FsError(EPERM); }
  FsStatus RemoveDirectory(Inode, std::string_view) override { return FsError(EPERM); }
  FsStatus Rename(Inode, std::string_view, Inode, std::string_view, RenameMode) override { return FsError(EPERM); }
  FsResult<size_t> Read(Inode inode, uint64_t offset, MutableBytes out) override;
  FsStatus Write(Inode, uint64_t, ByteView) override { return FsError(EPERM); }
  FsStatus Allocate(Inode, AllocationMode, uint64_t, uint64_t) override { return FsError(EPERM); }
  FsResult<uint64_t> Seek(Inode inode, uint64_t offset, SeekTarget target) override;
  FsResult<uint64_t> CopyRange(Inode, uint64_t, Inode, uint64_t, uint64_t) override { return FsError(EPERM); }
  FsStatus Sync(Inode, bool) override { return {}; }
  FsStatus ReadDirectory(Inode inode, uint64_t cookie, const DirectoryVisitor& visit) override;
  FsStatus SyncDirectory(Inode) override { return {}; }
  FsResult<Inode> ParentOf(Inode) override { return kRootInode; }
  FsResult<SpaceInfo> Space() override { return SpaceInfo{}; }

 private:
  struct Snapshot {
    std::string text;
    timespec made{};
    uint64_t references = 0;
  };
  [[nodiscard]] Attributes Describe(Inode inode, const Snapshot& snapshot) const;

  // Constant after construction.
  const std::vector<TextFile> files_;
  const Owner owner_;

  std::mutex mutex_;
  // Guarded by mutex_:
  std::map<Inode, Snapshot> snapshots_;
  uint64_t last_number_ = 1'000;  // of inodes; those of the names as they are listed lie below
};

}  // namespace pgstrata::vfs
