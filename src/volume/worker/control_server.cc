// Invariants:
//   - Every line that was taken is answered by one line, also while the server is being stopped.
//   - Nobody but the worker's user and root is listened to, whatever the socket's mode says.
#include "volume/worker/control_server.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "foundation/base/log.h"
#include "volume/worker/control_socket.h"

namespace pgstrata::worker {
namespace {

constexpr size_t kMostConnections = 32;
constexpr timeval kSendPatience{.tv_sec = 5, .tv_usec = 0};

bool IsWelcome(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  return peer.uid == 0 || peer.uid == ::geteuid();
}

codec::Json ErrorAnswer(const Error& error) {
  codec::Json answer;
  answer["version"] = kControlVersion;
  answer["ok"] = false;
  answer["code"] = ErrorCodeName(error.code());
  answer["error"] = error.message();
  if (!error.hint().empty()) answer["hint"] = error.hint();
  return answer;
}

codec::Json Envelope(const Result<codec::Json>& answered) {
  if (!answered) return ErrorAnswer(answered.error());
  codec::Json answer;
  answer["version"] = kControlVersion;
  answer["ok"] = true;
  for (const auto& [name, value] : answered->items()) answer[name] = value;
  return answer;
}

}  // namespace

Status ControlServer::Start() {
  try {
    acceptor_ = std::thread([this] { Accept(); });
  } catch (const std::system_error& error) {
    return Fail(Error::FromErrno(error.code().value(), "could not start a thread"));
  }
  return {};
}

void ControlServer::Stop() {
  {
    const std::scoped_lock lock(mutex_);
    stopped_ = true;
    for (Connection& connection : connections_) ::shutdown(connection.socket.get(), SHUT_RD);
  }
  // Wakes accept(2).
  if (listener_.valid()) ::shutdown(listener_.get(), SHUT_RDWR);
  if (acceptor_.joinable()) acceptor_.join();
  listener_.Reset();
  for (Connection& connection : connections_) {
    if (connection.thread.joinable()) connection.thread.join();
  }
  connections_.clear();
}

void ControlServer::Accept() {
  for (;;) {
    io::UniqueFd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    {
      const std::scoped_lock lock(mutex_);
      if (stopped_) return;
    }
    if (socket.valid()) {
      Welcome(std::move(socket));
    } else if (errno != EINTR && errno != ECONNABORTED) {
      // Out of descriptors or memory: whoever waits is served when there is room again.
      ::usleep(10'000);
    }
  }
}

void ControlServer::Welcome(io::UniqueFd socket) {
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &kSendPatience, sizeof kSendPatience);
  if (!IsWelcome(socket.get())) {
    static_cast<void>(
        SendLine(socket.get(), ErrorAnswer(Error(ErrorCode::kPermission, "this worker belongs to another user"))));
    return;
  }
  const std::scoped_lock lock(mutex_);
  JoinFinished();
  if (stopped_) return;
  if (connections_.size() >= kMostConnections) {
    static_cast<void>(
        SendLine(socket.get(), ErrorAnswer(Error(ErrorCode::kBusy, "too many connections to this worker"))));
    return;
  }
  Connection& connection = connections_.emplace_back();
  connection.socket = std::move(socket);
  try {
    connection.thread = std::thread([this, &connection] { Converse(connection); });
  } catch (const std::system_error& error) {
    log::Warning("could not start a thread for a connection: {}", error.what());
    connections_.pop_back();
  }
}

void ControlServer::Converse(Connection& connection) {
  LineReader lines(connection.socket.get(), kLongestLine);
  for (;;) {
    const auto line = lines.Next(std::nullopt);
    if (!line) static_cast<void>(SendLine(connection.socket.get(), ErrorAnswer(line.error())));
    if (!line || !*line) break;
    if (!SendLine(connection.socket.get(), Envelope(AnswerLine(**line)))) break;
  }
  const std::scoped_lock lock(mutex_);
  connection.finished = true;
  ::shutdown(connection.socket.get(), SHUT_RDWR);  // closed when it is joined
}

Result<codec::Json> ControlServer::AnswerLine(std::string_view line) const {
  const auto request = codec::ParseJson(line);
  if (!request || !request->is_object()) {
    return Fail(ErrorCode::kInvalidArgument, "a request is one JSON object in one line");
  }
  if (const uint64_t version = NumberOf(*request, "version"); version != kControlVersion) {
    return Fail(ErrorCode::kUnsupported, "this worker speaks version " + std::to_string(kControlVersion) +
                                             " of the protocol, not " + std::to_string(version));
  }
  return answer_(*request);
}

void ControlServer::JoinFinished() {
  std::erase_if(connections_, [](Connection& connection) {
    if (connection.finished) connection.thread.join();
    return connection.finished;
  });
}

}  // namespace pgstrata::worker
