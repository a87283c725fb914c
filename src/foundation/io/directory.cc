#include "foundation/io/directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <memory>

#include "foundation/base/text.h"
#include "foundation/io/fd.h"

namespace pgstrata::io {
namespace {

Status RemoveTreeAt(int parent, const std::string& name, dev_t device, const std::string& shown) {
  struct stat status{};
  if (::fstatat(parent, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return {};
    return FailErrno("could not stat " + Quoted(shown));
  }
  if (!S_ISDIR(status.st_mode)) {
    if (::unlinkat(parent, name.c_str(), 0) != 0 && errno != ENOENT)
      return FailErrno("could not remove " + Quoted(shown));
    return {};
  }
  if (status.st_dev != device) {
    return Fail(ErrorCode::kBusy, "did not remove " + Quoted(shown) + ": something is mounted there");
  }
  {
    const UniqueFd fd(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd.valid()) return FailErrno("could not open " + Quoted(shown));
    PGS_ASSIGN(const auto names, ListDirectory("/proc/self/fd/" + std::to_string(fd.get())));
    for (const auto& child : names) PGS_TRY(RemoveTreeAt(fd.get(), child, device, shown + '/' + child));
  }
  if (::unlinkat(parent, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) {
    return FailErrno("could not remove " + Quoted(shown));
  }
  return {};
}

// `visit(descriptor of the directory, name)` for every name but "." and "..", in the order of the directory.
template <typename Visitor>
Status VisitNames(const std::string& path, Visitor&& visit) {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), ::closedir);
  if (!directory) return FailErrno("could not list " + Quoted(path));
  while (true) {
    errno = 0;
    const dirent* entry = ::readdir(directory.get());
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") PGS_TRY(visit(::dirfd(directory.get()), entry->d_name));
  }
  if (errno != 0) return FailErrno("could not list " + Quoted(path));
  return {};
}

}  // namespace

Result<std::vector<std::string>> ListDirectory(const std::string& path) {
  std::vector<std::string> names;
  PGS_TRY(VisitNames(path, [&](int, const char* name) -> Status {
    names.emplace_back(name);
    return {};
  }));
  std::ranges::sort(names);
  return names;
}

Result<std::vector<NamedStatus>> ListDirectoryWithStatus(const std::string& path) {
  std::vector<NamedStatus> entries;
  PGS_TRY(VisitNames(path, [&](int directory, const char* name) -> Status {
    NamedStatus entry{.name = name};
    if (::fstatat(directory, name, &entry.status, AT_SYMLINK_NOFOLLOW) == 0) {
      entries.push_back(std::move(entry));
    } else if (errno != ENOENT) {
      return FailErrno("could not stat " + Quoted(path + '/' + name));
    }
    return {};
  }));
  std::ranges::sort(entries, {}, &NamedStatus::name);
  return entries;
}

Result<struct stat> StatLink(const std::string& path) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) return FailErrno("could not stat " + Quoted(path));
  return status;
}

Result<struct stat> StatTarget(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return FailErrno("could not stat " + Quoted(path));
  return status;
}

bool Exists(const std::string& path) { return StatLink(path).has_value(); }

bool IsDirectory(const std::string& path) {
  const auto status = StatTarget(path);
  return status && S_ISDIR(status->st_mode);
}

bool IsRegularFile(const std::string& path) {
  const auto status = StatTarget(path);
  return status && S_ISREG(status->st_mode);
}

Result<std::string> ReadLink(const std::string& path) {
  std::string target(PATH_MAX, '\0');
  const ssize_t length = ::readlink(path.c_str(), target.data(), target.size());
  if (length < 0) return FailErrno("could not read the link " + Quoted(path));
  target.resize(static_cast<size_t>(length));
  return target;
}

Result<std::string> ResolvePath(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> resolved(::realpath(path.c_str(), nullptr), std::free);
  if (!resolved) return FailErrno("could not resolve " + Quoted(path));
  return std::string(resolved.get());
}

Status MakeDirectories(const std::string& path, mode_t mode) {
  // Nearly always it is there; to be refused by mkdir(2) for each part of the path costs thirty times as much.
  if (const auto there = StatTarget(path); there && S_ISDIR(there->st_mode)) return {};
  if (::mkdir(path.c_str(), mode) == 0) return {};
  for (size_t end = 1; end <= path.size(); ++end) {
    if (end != path.size() && path[end] != '/') continue;
    const std::string prefix = path.substr(0, end);
    if (::mkdir(prefix.c_str(), mode) == 0) continue;
    const int error = errno;
    // What is there counts, whatever mkdir says: a read-only parent answers EROFS or EACCES.
    const auto there = StatTarget(prefix);
    if (there && S_ISDIR(there->st_mode)) continue;
    return Fail(Error::FromErrno(error, "could not create the directory " + Quoted(prefix)));
  }
  return {};
}

Result<std::string> MakeTemporaryDirectory(const std::string& prefix) {
  std::string path = prefix + std::string(kRandomSuffix, 'X');
  if (::mkdtemp(path.data()) == nullptr) return FailErrno("could not make a directory " + Quoted(prefix + "..."));
  return path;
}

Status MakeLink(const std::string& target, const std::string& path) {
  if (::symlink(target.c_str(), path.c_str()) != 0) return FailErrno("could not create \"" + path + '"');
  return {};
}

Status RemoveTree(const std::string& path) {
  const auto status = StatLink(path);
  if (!status)
    return status.error().code() == ErrorCode::kNotFound ? Status{} : Status(std::unexpected(status.error()));
  // The tree's own device is its parent's: a mount on `path` itself is refused too.
  const size_t slash = path.find_last_of('/');
  const std::string parent = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  PGS_ASSIGN(const struct stat above, StatTarget(parent));
  const dev_t device = S_ISDIR(status->st_mode) ? above.st_dev : status->st_dev;
  return RemoveTreeAt(AT_FDCWD, path, device, path);
}

Status RemoveFile(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return FailErrno("could not remove " + Quoted(path));
  return {};
}

Status Rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0)
    return FailErrno("could not rename " + Quoted(from) + " to " + Quoted(to));
  return {};
}

Status LinkFile(const std::string& from, const std::string& to) {
  if (::link(from.c_str(), to.c_str()) == 0) return {};
  if (errno == EPERM || errno == EOPNOTSUPP || errno == EXDEV || errno == EMLINK) {
    return Fail(ErrorCode::kUnsupported, Quoted(from) + " can have no second name " + Quoted(to));
  }
  return FailErrno("could not link " + Quoted(from) + " to " + Quoted(to));
}

Status SyncDirectory(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return FailErrno("could not open " + Quoted(path));
  if (::fsync(fd.get()) != 0) return FailErrno("could not sync the directory " + Quoted(path));
  return {};
}

Status ChangeOwner(const std::string& path, uid_t uid, gid_t gid) {
  if (::lchown(path.c_str(), uid, gid) != 0) return FailErrno("could not change the owner of " + Quoted(path));
  return {};
}

Result<DiskSpace> DiskSpaceAt(const std::string& path) {
  struct statvfs space{};
  if (::statvfs(path.c_str(), &space) != 0) return FailErrno("could not ask for the free space of " + Quoted(path));
  return DiskSpace{.total_bytes = space.f_blocks * space.f_frsize, .available_bytes = space.f_bavail * space.f_frsize};
}

Result<uint64_t> AllocatedBytes(const std::string& path) {
  constexpr uint64_t kStatBlock = 512;
  PGS_ASSIGN(const struct stat status, StatLink(path));
  uint64_t total = static_cast<uint64_t>(status.st_blocks) * kStatBlock;
  if (!S_ISDIR(status.st_mode)) return total;
  PGS_ASSIGN(const auto names, ListDirectory(path));
  for (const auto& name : names) {
    const auto below = AllocatedBytes(path + '/' + name);
    if (below) total += *below;  // a file that went away meanwhile owns nothing
  }
  return total;
}

}  // namespace pgstrata::io
