#include "volume/worker/control_socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "foundation/base/text.h"
#include "foundation/io/directory.h"

namespace pgstrata::worker {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr int kBacklog = 16;
constexpr size_t kStep = 4096;

constexpr std::array<std::pair<ErrorCode, std::string_view>, 14> kErrorNames = {
    {{ErrorCode::kUsage, "usage"},
     {ErrorCode::kInvalidArgument, "invalid_argument"},
     {ErrorCode::kNotFound, "not_found"},
     {ErrorCode::kAlreadyExists, "already_exists"},
     {ErrorCode::kCorrupt, "corrupt"},
     {ErrorCode::kUnsupported, "unsupported"},
     {ErrorCode::kUnavailable, "unavailable"},
     {ErrorCode::kPermission, "permission"},
     {ErrorCode::kBusy, "busy"},
     {ErrorCode::kNoSpace, "no_space"},
     {ErrorCode::kIo, "io"},
     {ErrorCode::kMissingWal, "missing_wal"},
     {ErrorCode::kCancelled, "cancelled"},
     {ErrorCode::kInternal, "internal"}}};

// Its directory open and the name below it, so that the kernel is given a short path. A missing directory is kNotFound.
class SocketAddress {
 public:
  static Result<SocketAddress> Of(const std::string& path) {
    SocketAddress address;
    const auto [directory, name] = SplitLast(path);
    const std::string above = directory.empty() ? "/" : std::string(directory);
    address.directory_ = io::UniqueFd(::open(above.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!address.directory_.valid()) return FailErrno("could not open the directory " + Quoted(above));
    const std::string short_path =
        "/proc/self/fd/" + std::to_string(address.directory_.get()) + '/' + std::string(name);
    if (short_path.size() >= sizeof address.address_.sun_path) {
      return Fail(ErrorCode::kInvalidArgument, Quoted(path) + ": the name is too long for a socket");
    }
    address.address_.sun_family = AF_UNIX;
    std::ranges::copy(short_path, address.address_.sun_path);
    return address;
  }

  [[nodiscard]] int Bind(int socket) const {
    return ::bind(socket, reinterpret_cast<const sockaddr*>(&address_), sizeof address_);
  }
  [[nodiscard]] int Connect(int socket) const {
    return ::connect(socket, reinterpret_cast<const sockaddr*>(&address_), sizeof address_);
  }

 private:
  io::UniqueFd directory_;
  sockaddr_un address_{};
};

Result<io::UniqueFd> NewSocket() {
  io::UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return FailErrno("could not make a socket");
  return socket;
}

// The file is never there with another mode, not even for a moment. The process has one thread at this time.
int BindPrivately(const SocketAddress& address, int socket) {
  const mode_t before = ::umask(0177);
  const int failed = address.Bind(socket) == 0 ? 0 : errno;
  ::umask(before);
  return failed;
}

// How long until `deadline`, for poll.
int Remaining(std::optional<steady_clock::time_point> deadline) {
  if (!deadline) return -1;
  const auto left = std::chrono::ceil<milliseconds>(*deadline - steady_clock::now()).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, 1'000'000'000));
}

}  // namespace

Result<io::UniqueFd> ListenAt(const std::string& path) {
  PGS_ASSIGN(const SocketAddress address, SocketAddress::Of(path));
  PGS_ASSIGN(io::UniqueFd socket, NewSocket());
  int failed = BindPrivately(address, socket.get());
  if (failed == EADDRINUSE) {
    const auto living = ConnectTo(path);
    if (living || living.error().code() != ErrorCode::kNotFound) {
      return Fail(ErrorCode::kBusy, "another process serves already and listens at " + Quoted(path));
    }
    PGS_TRY(io::RemoveFile(path));
    failed = BindPrivately(address, socket.get());
  }
  if (failed != 0) return Fail(Error::FromErrno(failed, "could not make the socket " + Quoted(path)));
  if (::listen(socket.get(), kBacklog) != 0) return FailErrno("could not listen at " + Quoted(path));
  return socket;
}

Result<io::UniqueFd> ConnectTo(const std::string& path) {
  PGS_ASSIGN(const SocketAddress address, SocketAddress::Of(path));
  PGS_ASSIGN(io::UniqueFd socket, NewSocket());
  // A listener that hangs lets connections wait until its queue is full: then connect(2) would wait too.
  const int flags = ::fcntl(socket.get(), F_GETFL);
  ::fcntl(socket.get(), F_SETFL, flags | O_NONBLOCK);
  if (address.Connect(socket.get()) == 0) {
    ::fcntl(socket.get(), F_SETFL, flags);
    return socket;
  }
  if (errno == ECONNREFUSED || errno == ENOENT) {
    return Fail(ErrorCode::kNotFound, "no process listens at " + Quoted(path));
  }
  if (errno == EAGAIN)
    return Fail(ErrorCode::kBusy, "the process that listens at " + Quoted(path) + " does not answer");
  return FailErrno("could not connect to " + Quoted(path));
}

Result<std::optional<std::string>> LineReader::Next(std::optional<steady_clock::time_point> deadline) {
  std::array<char, kStep> buffer{};
  for (size_t searched = 0;;) {
    const size_t end = pending_.find('\n', searched);
    if (end != std::string::npos) {
      std::string line = pending_.substr(0, end);
      pending_.erase(0, end + 1);
      return line;
    }
    searched = pending_.size();
    if (searched > limit_) return Fail(ErrorCode::kInvalidArgument, "a line is too long");
    pollfd polled{socket_, POLLIN, 0};
    const int ready = ::poll(&polled, 1, Remaining(deadline));
    if (ready == 0) return Fail(ErrorCode::kBusy, "no answer in time");
    if (ready < 0 && errno == EINTR) continue;
    const ssize_t count = ready < 0 ? -1 : ::recv(socket_, buffer.data(), buffer.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno != ECONNRESET) return FailErrno("could not read from a control socket");
    if (count <= 0) return std::nullopt;
    pending_.append(buffer.data(), static_cast<size_t>(count));
  }
}

Status SendLine(int socket, const codec::Json& value) {
  const std::string line = codec::FormatJson(value) + '\n';
  for (std::string_view left = line; !left.empty();) {
    const ssize_t sent = ::send(socket, left.data(), left.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return FailErrno("could not write to a control socket");
    left.remove_prefix(static_cast<size_t>(sent));
  }
  return {};
}

std::string TextOf(const codec::Json& object, const char* name) {
  const auto member = object.find(name);
  return member != object.end() && member->is_string() ? member->get<std::string>() : std::string();
}

bool IsTrue(const codec::Json& object, const char* name) {
  const auto member = object.find(name);
  return member != object.end() && member->is_boolean() && member->get<bool>();
}

uint64_t NumberOf(const codec::Json& object, const char* name) {
  const auto member = object.find(name);
  return member != object.end() && member->is_number_unsigned() ? member->get<uint64_t>() : 0;
}

std::string_view ErrorCodeName(ErrorCode code) {
  const auto found = std::ranges::find(kErrorNames, code, &std::pair<ErrorCode, std::string_view>::first);
  return found == kErrorNames.end() ? "internal" : found->second;
}

ErrorCode ErrorCodeByName(std::string_view name) {
  const auto found = std::ranges::find(kErrorNames, name, &std::pair<ErrorCode, std::string_view>::second);
  return found == kErrorNames.end() ? ErrorCode::kInternal : found->first;
}

}  // namespace pgstrata::worker
