#include "foundation/io/journal.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <cstring>

#include "foundation/base/text.h"

namespace pgstrata::io {
namespace {

constexpr timeval kPatience{.tv_sec = 0, .tv_usec = 100'000};
constexpr size_t kLongestMessage = 64 << 10;  // a datagram holds more, but not on every machine

std::unexpected<Error> NoJournal(const std::string& socket) {
  const auto failed = FailErrno("could not connect to systemd's journal at " + Quoted(socket));
  return Fail(Error(ErrorCode::kUnavailable, failed.error().message())
                  .WithHint("where systemd's journal does not run, log to a file: --log-sink file"));
}

// "NAME=value\n"; a value of several lines is told by its length (64 bits, little endian) instead.
void AddField(std::string& datagram, std::string_view name, std::string_view value) {
  datagram += name;
  if (!value.contains('\n')) {
    datagram += '=';
  } else {
    datagram += '\n';
    for (unsigned shift = 0; shift < 64; shift += 8) datagram += static_cast<char>((value.size() >> shift) & 0xFF);
  }
  datagram += value;
  datagram += '\n';
}

}  // namespace

Result<Journal> Journal::Open(std::string identifier, const std::string& socket) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket.size() >= sizeof address.sun_path) {
    return Fail(ErrorCode::kInvalidArgument, "the path " + Quoted(socket) + " is too long for a socket");
  }
  std::memcpy(address.sun_path, socket.c_str(), socket.size() + 1);
  UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return FailErrno("could not make a socket");
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return NoJournal(socket);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);
  return Journal(std::move(fd), std::move(identifier));
}

void Journal::Write(int priority, std::string_view message) const {
  std::string datagram;
  AddField(datagram, "MESSAGE", message.substr(0, kLongestMessage));
  AddField(datagram, "PRIORITY", fmt::format("{}", priority));
  AddField(datagram, "SYSLOG_IDENTIFIER", identifier_);
  static_cast<void>(::send(socket_.get(), datagram.data(), datagram.size(), MSG_NOSIGNAL));
}

}  // namespace pgstrata::io
