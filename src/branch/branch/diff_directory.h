// The directory that holds what was changed on one mount of a backup (docs/format/diff-directory.md). It remembers what
// it was made for, and one process at a time uses it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backup/image/image.h"
#include "branch/branch/cluster_facts.h"
#include "foundation/base/error.h"
#include "foundation/io/lock.h"

namespace pgstrata::branch {

// The backup that a diff directory was made for, as far as that can be told again.
struct DiffOrigin {
  std::string given;             // the source as the user typed it
  std::string name;              // what names it again, from any working directory
  std::string path;              // absolute, links resolved
  std::vector<std::string> wal;  // --wal, absolute
  // Where --chain named what it stands on: those backups, the oldest first, absolute. Else they are looked for.
  std::vector<std::string> chain;
  std::string cipher_pass_file;  // absolute; empty: the passphrase, if it needs one, is found otherwise
  uint64_t system_identifier = 0;
  int major_version = 0;
  std::string control_file;  // SHA-256 of global/pg_control, in hexadecimal
};
Result<DiffOrigin> DescribeOrigin(const image::Image& image, const ClusterFacts& facts);

struct DiffRecord {
  DiffOrigin origin;
  std::string at = {};                 // --at as it was typed; empty: none
  std::string user;                    // who is shown as the owner of the backup's files
  std::vector<std::string> wal_files;  // of the origin's WAL directories, the files that are shown in pg_wal
  std::vector<std::string> layers;     // names in the directory, lowest first
  bool no_wal = false;                 // it was mounted with --no-wal: what is in it lacks its WAL
};

// kInvalidArgument, saying what differs, where `now` is not what `made_for` says. A source that was moved has another
// path and is the same otherwise: `moved` allows that.
Status CheckSameOrigin(const DiffOrigin& made_for, const DiffOrigin& now, bool moved, const std::string& directory);

class DiffDirectory {
 public:
  // Makes the directory if it is missing and holds its lock for as long as this process or a forked child lives. What a
  // mount left that was killed before it had made the directory whole is removed. kBusy where another process holds it,
  // kAlreadyExists where something else is in it, kUnsupported for a newer version.
  static Result<DiffDirectory> Enter(const std::string& path);

  // Whether Enter has begun it.
  [[nodiscard]] bool is_new() const { return is_new_; }
  // What it was made for; of a new one nothing before Publish.
  [[nodiscard]] const DiffRecord& record() const { return record_; }
  // Makes `record` durable; a new directory is whole after that.
  Status Publish(const DiffRecord& record);
  // A mount whose syncs promise nothing marks the directory before it is shown (durable), and takes the mark back when
  // it has ended in order.
  Status MarkDirty();
  [[nodiscard]] bool is_dirty() const;
  // Of a new one that was never shown to anybody: removes what was made of it.
  Status Abandon();

  [[nodiscard]] const std::string& path() const { return path_; }  // absolute, resolved
  [[nodiscard]] std::string File(std::string_view name) const;
  [[nodiscard]] std::vector<std::string> LayerPaths(const DiffRecord& record) const;

 private:
  std::string path_;
  io::FileLock lock_;
  DiffRecord record_;
  bool is_new_ = false;
  bool made_ = false;  // by Enter
};

inline constexpr const char* kFirstLayer = "layer-1";
// Where the WAL of a mount that keeps none lies while it is mounted.
inline constexpr const char* kPassingWal = "wal.tmp";

// Takes back the mark of MarkDirty; nothing there is success.
Status ClearDirtyMark(const std::string& path);

// Without the lock, and changing nothing. kNotFound where `path` is no diff directory.
Result<DiffRecord> ReadDiffRecord(const std::string& path);
// Whether RemoveDiffDirectory would do it; the same errors.
Status CheckRemovable(const std::string& path);
// Removes everything that a diff directory holds, also an unfinished one, and then the directory itself where it is
// empty. kNotFound and kAlreadyExists as above; kBusy while it is mounted, also by a process that has died.
Status RemoveDiffDirectory(const std::string& path);

}  // namespace pgstrata::branch
