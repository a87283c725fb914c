#pragma once

#include <optional>
#include <string>

#include "foundation/base/error.h"
#include "foundation/io/file.h"

namespace pgstrata::io {

// An exclusive flock(2) on a file or directory, held until the last process that inherited it by fork closes it (not
// across exec).
class FileLock {
 public:
  // On a directory that is there; waits for as long as somebody else holds it.
  static Result<FileLock> AcquireOnDirectory(const std::string& path);
  // On a file, which is created if needed. kBusy when somebody else holds it.
  static Result<FileLock> TryAcquire(const std::string& path);
  // Whether somebody holds the lock now. A missing file is not held.
  static Result<bool> IsHeld(const std::string& path);

  // Whether `path` is still what was locked: not removed meanwhile, nor replaced.
  [[nodiscard]] bool StillAt(const std::string& path) const;
  // For handing it on to a forked child.
  [[nodiscard]] int fd() const { return file_.fd(); }

 private:
  static Result<FileLock> Lock(const std::string& path, int open_flags, int operation);
  File file_;
};

}  // namespace pgstrata::io
