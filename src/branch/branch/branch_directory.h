// Where a kept branch lies (docs/format/catalogue.md), and the lock that every command on it takes.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "branch/branch/left_server.h"
#include "foundation/base/error.h"
#include "foundation/io/file.h"
#include "foundation/io/process.h"

namespace pgstrata::branch {

std::string BranchesDirectory(const std::string& home);
std::string LayersDirectory(const std::string& home);
std::string ClustersDirectory(const std::string& home);
std::string LayerDirectory(const std::string& home, std::string_view layer);
// The branch that made the layer `layer`: its name begins with that.
std::string_view BranchOfLayer(std::string_view layer);

// The paths of one branch. Nothing is created or looked at.
class BranchDirectory {
 public:
  BranchDirectory(const std::string& home, std::string_view id);

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string lock() const { return path_ + "/lock"; }
  [[nodiscard]] std::string merging() const { return path_ + "/merging"; }
  [[nodiscard]] std::string source() const { return path_ + "/source"; }
  [[nodiscard]] std::string origin() const { return path_ + "/origin"; }
  [[nodiscard]] std::string wals() const { return path_ + "/wal"; }
  [[nodiscard]] std::string wal(int64_t generation) const { return wals() + '/' + std::to_string(generation); }
  [[nodiscard]] std::string mountpoint() const { return path_ + "/mnt"; }
  [[nodiscard]] std::string conf() const { return path_ + "/conf"; }
  [[nodiscard]] std::string run() const { return path_ + "/run"; }
  [[nodiscard]] std::string socket_link() const { return path_ + "/socket"; }
  [[nodiscard]] std::string server_lock() const { return path_ + "/server.lock"; }
  [[nodiscard]] std::string server_log() const { return path_ + "/server.log"; }
  [[nodiscard]] std::string worker_log() const { return path_ + "/worker.log"; }
  [[nodiscard]] std::string merge_log() const { return path_ + "/merge.log"; }
  [[nodiscard]] std::string control() const { return path_ + "/control"; }
  // Where the server's socket lies while it runs.
  [[nodiscard]] std::string socket_directory() const;
  [[nodiscard]] LeftServer server() const;

 private:
  std::string path_;
};

// Held by one command at a time, and by nothing that it starts: a POSIX record lock ends with its process and is not
// inherited over fork. One per file and process.
class BranchLock {
 public:
  // kBusy, naming the process that holds it and its words, where somebody does. `words` say what this command does.
  // kNotFound where there is no such branch any more.
  static Result<BranchLock> TryAcquire(const BranchDirectory& directory, std::string_view name, std::string_view words);
  static Result<bool> IsHeld(const BranchDirectory& directory);

  // Another lock of the same branch, which stands in no command's way but another merge's: held by the process that
  // merges its layers.
  static Result<BranchLock> TryAcquireForMerging(const BranchDirectory& directory, std::string_view name,
                                                 std::string_view words);
  // The process that holds it, if one does.
  static Result<std::optional<pid_t>> Merger(const BranchDirectory& directory);

 private:
  static Result<BranchLock> Acquire(io::File file, std::string_view name, std::string_view words);
  io::File file_;
};

// A new branch's directory with all that it holds from the beginning, locked before anybody can take it for a leftover.
struct NewBranch {
  std::string id;
  BranchLock lock;
};
Result<NewBranch> MakeBranchDirectory(const std::string& home, const io::UserIdentity& owner, std::string_view words);

// An empty directory that belongs to `owner`.
Status MakeOwnedDirectory(const std::string& path, const io::UserIdentity& owner);
// Hexadecimal digits that nobody has had.
std::string RandomDigits(size_t count);

}  // namespace pgstrata::branch
