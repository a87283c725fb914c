#include "volume/fuse/started_mount.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "foundation/base/log.h"
#include "foundation/base/text.h"
#include "volume/fuse/availability.h"
#include "volume/fuse/device.h"
#include "volume/fuse/mount.h"

namespace pgstrata::fuse {
namespace {

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

std::string ReadToEnd(int fd) {
  std::string text;
  std::array<char, 512> part{};
  while (true) {
    const ssize_t count = ::read(fd, part.data(), part.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return text;
    text.append(part.data(), static_cast<size_t>(count));
  }
}

std::string OptionsText(const MountOptions& options) {
  return fmt::format("{},nosuid,nodev,fsname={},subtype={}{}", CommonOptions(options), EscapeOption(options.fsname),
                     EscapeOption(options.subtype), options.read_only ? ",ro" : "");
}

}  // namespace

Result<StartedMount> StartedMount::Begin(MountOptions options) {
  StartedMount started;
  PGS_ASSIGN(options.mountpoint, ResolveDirectory(options.mountpoint));
  started.options_ = std::move(options);
  if (::geteuid() == 0) return started;
  // Asked before and not only on failure: what could not be unmounted must not be mounted.
  if (const Availability availability = CheckFuse(); !availability.usable) {
    return MountFailed(started.options_, Error(ErrorCode::kUnavailable, availability.problem));
  }
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return FailErrno("could not make a socket pair");
  }
  started.answer_ = io::UniqueFd(ends[0]);
  const io::UniqueFd theirs(ends[1]);
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return FailErrno("could not make a pipe");
  started.errors_ = io::UniqueFd(ends[0]);
  const io::UniqueFd their_errors(ends[1]);
  io::Environment environment = io::CurrentEnvironment();
  // The descriptor comes back over the socket that is its standard input.
  environment["_FUSE_COMMFD"] = "0";
  auto process = io::Process::Spawn(
      {.argv = {"fusermount3", "-o", OptionsText(started.options_), "--", started.options_.mountpoint},
       .environment = environment,
       .standard_input = theirs.get(),
       .standard_output = -1,
       .standard_error = their_errors.get()});
  if (!process) return MountFailed(started.options_, std::move(process).error());
  started.process_ = *std::move(process);
  return started;
}

StartedMount& StartedMount::operator=(StartedMount&& other) noexcept {
  if (this == &other) return *this;
  std::swap(options_, other.options_);
  std::swap(process_, other.process_);
  std::swap(answer_, other.answer_);
  std::swap(errors_, other.errors_);
  std::swap(given_away_, other.given_away_);
  return *this;
}

StartedMount::~StartedMount() {
  if (!begun()) return;
  if (const auto ended = process_.Wait(); !ended) log::Warning("{}", ended.error().message());
  if (given_away_) return;
  answer_.Reset();  // and the descriptor in it: whoever looks at the mount gets an error
  if (const auto gone = Unmount(options_.mountpoint, {.lazy = true, .abort_first = false}); !gone) {
    log::Warning("{}", gone.error().message());
  }
}

Result<io::UniqueFd> StartedMount::Take() {
  if (!begun()) return MountAsRoot(options_);
  auto device = ReceiveDescriptor(answer_.get());
  if (device) return *std::move(device);
  return MountFailed(options_, Error(ErrorCode::kPermission, std::string(TrimWhitespace(ReadToEnd(errors_.get())))));
}

}  // namespace pgstrata::fuse
