// Directories and names. Paths are native paths.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "foundation/base/error.h"

namespace pgstrata::io {

// The names in a directory without "." and "..", sorted by bytes.
Result<std::vector<std::string>> ListDirectory(const std::string& path);
// The same with lstat(2) of each. A name that goes away meanwhile is left out.
struct NamedStatus {
  std::string name;
  struct stat status{};
};
Result<std::vector<NamedStatus>> ListDirectoryWithStatus(const std::string& path);
// lstat(2) and stat(2).
Result<struct stat> StatLink(const std::string& path);
Result<struct stat> StatTarget(const std::string& path);
bool Exists(const std::string& path);
// Whether `path`, links followed, is one. False, too, where that cannot be found out.
bool IsDirectory(const std::string& path);
bool IsRegularFile(const std::string& path);
Result<std::string> ReadLink(const std::string& path);
// The absolute path with every symbolic link resolved (realpath(3)).
Result<std::string> ResolvePath(const std::string& path);

// mkdir -p: `mode` for what it creates; an existing directory is success.
Status MakeDirectories(const std::string& path, mode_t mode = 0700);
// A new directory that only this user can enter; its path is `prefix` and kRandomSuffix characters that no other has.
// Nobody removes it but the caller.
inline constexpr size_t kRandomSuffix = 6;
Result<std::string> MakeTemporaryDirectory(const std::string& prefix);
// rm -rf without crossing into another file system (a mount left below is an error, not a victim). Missing is success.
// A symbolic link at `path` to `target`, which need not be there.
Status MakeLink(const std::string& target, const std::string& path);
Status RemoveTree(const std::string& path);
Status RemoveFile(const std::string& path);
// rename(2): replaces what is at `to`. Durable after SyncDirectory of both directories.
Status Rename(const std::string& from, const std::string& to);
// link(2): a second name for the file `from`. kUnsupported where the file system allows none.
Status LinkFile(const std::string& from, const std::string& to);
// The names in the directory become durable.
Status SyncDirectory(const std::string& path);
Status ChangeOwner(const std::string& path, uid_t uid, gid_t gid);

struct DiskSpace {
  uint64_t total_bytes = 0;
  uint64_t available_bytes = 0;
};
Result<DiskSpace> DiskSpaceAt(const std::string& path);
// Bytes on disk below `path` (512 times st_blocks of every file).
Result<uint64_t> AllocatedBytes(const std::string& path);

}  // namespace pgstrata::io
