#include "volume/fuse/device.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

#include "foundation/base/text.h"
#include "foundation/io/process.h"
#include "volume/fuse/availability.h"

namespace pgstrata::fuse {
namespace {

// What the kernel and fusermount3 both take.
std::string CommonOptions(const MountOptions& options, size_t max_read) {
  return fmt::format("default_permissions,max_read={}{}", max_read, options.allow_other ? ",allow_other" : "");
}

// A failure of mounting, explained by what this machine lacks where it lacks something.
std::unexpected<Error> MountFailed(const MountOptions& options, Error error) {
  const Availability availability = CheckFuse();
  // A device that is not there is what this machine lacks, not a name that the user got wrong.
  if (!availability.usable && error.code() == ErrorCode::kNotFound)
    error = Error(ErrorCode::kUnavailable, error.message());
  error = std::move(error).Wrap(fmt::format("could not mount at \"{}\"", options.mountpoint));
  return Fail(std::move(error).WithHint(availability.usable ? "" : availability.hint));
}

Result<io::UniqueFd> MountAsRoot(const MountOptions& options, size_t max_read) {
  io::UniqueFd device(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
  if (!device.valid()) return MountFailed(options, Error::FromErrno(errno, "could not open \"/dev/fuse\""));
  const std::string data = fmt::format("fd={},rootmode=40000,user_id={},group_id={},{}", device.get(), ::getuid(),
                                       ::getgid(), CommonOptions(options, max_read));
  const std::string type = "fuse." + options.subtype;
  const unsigned long flags = MS_NOSUID | MS_NODEV | (options.read_only ? static_cast<unsigned long>(MS_RDONLY) : 0UL);
  if (::mount(options.fsname.c_str(), options.mountpoint.c_str(), type.c_str(), flags, data.c_str()) != 0) {
    return MountFailed(options, Error::FromErrno(errno, "mount(2) failed"));
  }
  return device;
}

std::string EscapeOption(const std::string& value) {
  std::string escaped;
  for (const char c : value) {
    if (c == ',' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

// fusermount3 sends one byte with the descriptor attached; nothing when it failed.
std::optional<io::UniqueFd> ReceiveDescriptor(int socket) {
  char byte = 0;
  iovec part{.iov_base = &byte, .iov_len = 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t received = 0;
  do {
    received = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (received < 0 && errno == EINTR);
  const cmsghdr* header = received > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS) return std::nullopt;
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return io::UniqueFd(fd);
}

Result<io::UniqueFd> MountAsUser(const MountOptions& options, size_t max_read) {
  // Asked before and not only on failure: what could not be unmounted must not be mounted.
  if (const Availability availability = CheckFuse(); !availability.usable) {
    return MountFailed(options, Error(ErrorCode::kUnavailable, availability.problem));
  }
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return FailErrno("could not make a socket pair");
  }
  const io::UniqueFd ours(ends[0]);
  io::UniqueFd theirs(ends[1]);
  io::Environment environment = io::CurrentEnvironment();
  // The descriptor comes back over the socket that is its standard input.
  environment["_FUSE_COMMFD"] = "0";
  const std::string mount_options =
      fmt::format("{},nosuid,nodev,fsname={},subtype={}{}", CommonOptions(options, max_read),
                  EscapeOption(options.fsname), EscapeOption(options.subtype), options.read_only ? ",ro" : "");
  auto run = io::RunAndCapture({.argv = {"fusermount3", "-o", mount_options, "--", options.mountpoint},
                                .environment = environment,
                                .standard_input = theirs.get()});
  theirs.Reset();
  if (!run) return MountFailed(options, std::move(run).error());
  auto device = ReceiveDescriptor(ours.get());
  if (!device) {
    return MountFailed(options, Error(ErrorCode::kPermission, std::string(TrimWhitespace(run->standard_error))));
  }
  return *std::move(device);
}

}  // namespace

Result<io::UniqueFd> MountDevice(const MountOptions& options, size_t max_read) {
  return ::geteuid() == 0 ? MountAsRoot(options, max_read) : MountAsUser(options, max_read);
}

}  // namespace pgstrata::fuse
