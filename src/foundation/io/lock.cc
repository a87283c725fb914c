#include "foundation/io/lock.h"

#include <sys/file.h>

#include <cerrno>

namespace pgstrata::io {

Result<FileLock> FileLock::Lock(const std::string& path, int open_flags, int operation) {
  FileLock lock;
  PGS_ASSIGN(lock.file_, File::Open(path, open_flags));
  int status = 0;
  do {
    status = ::flock(lock.file_.fd(), operation);
  } while (status != 0 && errno == EINTR);
  if (status == 0) return lock;
  if (errno == EWOULDBLOCK) return Fail(ErrorCode::kBusy, '"' + path + "\" is locked by another process");
  return FailErrno("could not lock \"" + path + '"');
}

Result<FileLock> FileLock::AcquireOnDirectory(const std::string& path) {
  return Lock(path, O_RDONLY | O_DIRECTORY, LOCK_EX);
}

Result<FileLock> FileLock::TryAcquire(const std::string& path) {
  return Lock(path, O_RDWR | O_CREAT, LOCK_EX | LOCK_NB);
}

bool FileLock::StillAt(const std::string& path) const {
  struct stat named{};
  const auto locked = file_.Stat();
  return locked && ::stat(path.c_str(), &named) == 0 && named.st_dev == locked->st_dev &&
         named.st_ino == locked->st_ino;
}

Result<bool> FileLock::IsHeld(const std::string& path) {
  const auto file = File::Open(path, O_RDONLY);
  if (!file) {
    if (file.error().code() == ErrorCode::kNotFound) return false;
    return std::unexpected(file.error());
  }
  // A shared attempt conflicts with the holder's exclusive lock and is given back at once.
  if (::flock(file->fd(), LOCK_SH | LOCK_NB) == 0) return false;
  if (errno == EWOULDBLOCK) return true;
  return FailErrno("could not test the lock \"" + path + '"');
}

}  // namespace pgstrata::io
