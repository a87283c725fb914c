#include "volume/fuse/device.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "foundation/io/directory.h"
#include "volume/fuse/availability.h"
#include "volume/fuse/operations.h"

namespace pgstrata::fuse {

Result<std::string> ResolveDirectory(const std::string& mountpoint) {
  PGS_ASSIGN(std::string resolved, io::ResolvePath(mountpoint));
  PGS_ASSIGN(const auto place, io::StatTarget(resolved));
  if (S_ISDIR(place.st_mode)) return resolved;
  return Fail(ErrorCode::kInvalidArgument, fmt::format("\"{}\" is not a directory", resolved));
}

std::string CommonOptions(const MountOptions& options) {
  return fmt::format("default_permissions,max_read={}{}", kMaxTransfer, options.allow_other ? ",allow_other" : "");
}

std::unexpected<Error> MountFailed(const MountOptions& options, Error error) {
  const Availability availability = CheckFuse();
  // A device that is not there is what this machine lacks, not a name that the user got wrong.
  if (!availability.usable && error.code() == ErrorCode::kNotFound)
    error = Error(ErrorCode::kUnavailable, error.message());
  error = std::move(error).Wrap(fmt::format("could not mount at \"{}\"", options.mountpoint));
  return Fail(std::move(error).WithHint(availability.usable ? "" : availability.hint));
}

Result<io::UniqueFd> MountAsRoot(const MountOptions& options) {
  io::UniqueFd device(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
  if (!device.valid()) return MountFailed(options, Error::FromErrno(errno, "could not open \"/dev/fuse\""));
  const std::string data = fmt::format("fd={},rootmode=40000,user_id={},group_id={},{}", device.get(), ::getuid(),
                                       ::getgid(), CommonOptions(options));
  const std::string type = "fuse." + options.subtype;
  const unsigned long flags = MS_NOSUID | MS_NODEV | (options.read_only ? static_cast<unsigned long>(MS_RDONLY) : 0UL);
  if (::mount(options.fsname.c_str(), options.mountpoint.c_str(), type.c_str(), flags, data.c_str()) != 0) {
    return MountFailed(options, Error::FromErrno(errno, "mount(2) failed"));
  }
  return device;
}

}  // namespace pgstrata::fuse
