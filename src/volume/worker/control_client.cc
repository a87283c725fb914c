#include "volume/worker/control_client.h"

#include <poll.h>
#include <sys/socket.h>

#include "foundation/base/text.h"
#include "foundation/io/process.h"
#include "volume/fuse/mount.h"
#include "volume/worker/control_socket.h"

namespace pgstrata::worker {
namespace {

using std::chrono::steady_clock;

// Between a worker's answer and its end there is nothing to wait for.
constexpr std::chrono::milliseconds kLastMoment{500};

Error ErrorOf(const codec::Json& answer) {
  return Error(ErrorCodeByName(TextOf(answer, "code")), TextOf(answer, "error")).WithHint(TextOf(answer, "hint"));
}

codec::Json Request(std::string_view name) {
  codec::Json request;
  request["version"] = kControlVersion;
  request["request"] = name;
  return request;
}

}  // namespace

Result<std::optional<std::string>> ControlSocketOf(const std::string& mountpoint) {
  PGS_ASSIGN(const auto mount, fuse::FindMount(mountpoint));
  if (!mount || mount->type != fuse::kMountType || !mount->source.starts_with('/')) return std::nullopt;
  return JoinPath(mount->source, "control");
}

Result<ControlClient> ControlClient::Connect(const std::string& socket_path) {
  PGS_ASSIGN(io::UniqueFd socket, ConnectTo(socket_path));
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return FailErrno("could not tell who listens at " + Quoted(socket_path));
  }
  return ControlClient(std::move(socket), peer.pid, socket_path);
}

Result<std::optional<ControlClient>> ControlClient::ConnectIfAlive(const std::string& socket_path) {
  auto client = Connect(socket_path);
  if (client) return *std::move(client);
  if (client.error().code() == ErrorCode::kNotFound) return std::nullopt;
  return Fail(std::move(client).error());
}

Result<codec::Json> ControlClient::Ask(const codec::Json& request, std::chrono::milliseconds timeout) {
  const auto deadline = steady_clock::now() + timeout;
  const std::string who = "the process that listens at " + Quoted(path_);
  if (const auto sent = SendLine(socket_.get(), request); !sent) return Fail(ErrorCode::kIo, who + " has ended");
  LineReader reader(socket_.get(), kLongestAnswer);
  const auto line = reader.Next(deadline);
  if (!line && line.error().code() == ErrorCode::kBusy) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(timeout).count();
    return Fail(ErrorCode::kBusy, who + " did not answer within " + std::to_string(seconds) + " s");
  }
  PGS_TRY(line);
  if (!*line) return Fail(ErrorCode::kIo, who + " ended without an answer");
  auto answer = codec::ParseJson(**line);
  if (!answer || !answer->is_object()) return Fail(ErrorCode::kCorrupt, who + " answered with what is no JSON object");
  if (!IsTrue(*answer, "ok")) return Fail(ErrorOf(*answer));
  return answer;
}

Result<codec::Json> ControlClient::Stat(bool reset, std::chrono::milliseconds timeout) {
  codec::Json request = Request("stat");
  if (reset) request["reset"] = true;
  PGS_ASSIGN(auto answer, Ask(request, timeout));
  answer.erase("version");
  answer.erase("ok");
  return answer;
}

Result<Frozen> ControlClient::Freeze(const std::string& new_layer, std::chrono::milliseconds timeout) {
  codec::Json request = Request("freeze");
  request["layer"] = new_layer;
  PGS_ASSIGN(const auto answer, Ask(request, timeout));
  Frozen frozen{.held = std::chrono::microseconds(NumberOf(answer, "held_us")), .sealed = {}};
  if (!IsTrue(answer, "sealed")) frozen.sealed = Fail(ErrorCode::kIo, TextOf(answer, "why"));
  return frozen;
}

Status ControlClient::Limit(uint64_t max_bytes, std::chrono::milliseconds timeout) {
  codec::Json request = Request("limit");
  request["max_bytes"] = max_bytes;
  PGS_TRY(Ask(request, timeout));
  return {};
}

Status ControlClient::Sync(std::chrono::milliseconds timeout) {
  PGS_TRY(Ask(Request("sync"), timeout));
  return {};
}

Status ControlClient::Quit(bool force, std::chrono::milliseconds timeout) {
  const auto deadline = steady_clock::now() + timeout;
  io::Process process;
  if (pid_ > 0) {
    PGS_ASSIGN(process, io::Process::Adopt(pid_));
  }
  codec::Json request = Request("quit");
  if (force) request["force"] = true;
  PGS_TRY(Ask(request, timeout));
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - steady_clock::now());
  if (!process.valid()) return {};  // in another pid namespace: its answer has to do
  PGS_ASSIGN(const auto ended, process.Wait(std::max(left, kLastMoment)));
  if (ended) return {};
  return Fail(ErrorCode::kBusy, "process " + std::to_string(pid_) + " has unmounted, but does not end");
}

}  // namespace pgstrata::worker
