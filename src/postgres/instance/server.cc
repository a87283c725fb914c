#include "postgres/instance/server.h"

#include <fcntl.h>
#include <sys/wait.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <thread>
#include <utility>

#include "foundation/base/log.h"
#include "foundation/base/text.h"
#include "foundation/io/file.h"
#include "postgres/client/environment.h"

namespace pgstrata::instance {
namespace {

using namespace std::chrono_literals;

constexpr size_t kLongestSocketPath = 107;
// How readily the kernel ends the server when memory runs out (-1000 to 1000, 0 is usual): a branch goes before the
// production server beside it.
constexpr std::string_view kOutOfMemoryScore = "500";

// An element of a comma-separated list of directories.
std::string QuoteDirectory(std::string_view path) {
  std::string text = "\"";
  for (const char c : path) text.append(c == '"' ? 2 : 1, c);
  return text + '"';
}

std::vector<std::string> Arguments(const ServerOptions& options) {
  Settings settings;
  if (!options.config_file.empty()) settings.Set("config_file", options.config_file);
  // The log is read when a start fails, by its English words.
  settings.Set("logging_collector", "off").Set("log_destination", "stderr").Set("lc_messages", "C");
  settings.Merge(options.settings);
  settings.Set("listen_addresses", "")
      .Set("unix_socket_directories", QuoteDirectory(options.socket_directory))
      .Set("port", std::to_string(options.port));
  std::vector<std::string> argv = {options.bin_directory + "/postgres", "-D", options.data_directory};
  for (auto& argument : settings.ToArguments()) argv.push_back(std::move(argument));
  return argv;
}

io::Environment CleanEnvironment(const ServerOptions& options) {
  io::Environment environment = options.environment;
  client::RemovePostgresEnvironment(environment);
  // Where dblink and foreign servers connect that name no host: to this server, never to the one at the default place.
  environment["PGHOST"] = options.socket_directory;
  environment["PGPORT"] = std::to_string(options.port);
  if (options.user) {
    environment["HOME"] = options.user->home;
    environment["USER"] = environment["LOGNAME"] = options.user->name;
  }
  return environment;
}

std::vector<std::string> WritableFor(const ServerOptions& options) {
  std::vector<std::string> writable = options.may_write_only;
  writable.insert(writable.end(),
                  {options.data_directory, options.socket_directory, "/tmp", "/var/tmp", "/dev", "/proc"});
  return writable;
}

bool IsZero(const char* path) {
  const auto limit = io::ReadWholeFile(path);
  return limit && TrimWhitespace(*limit) == "0";
}

// Whether this machine is set to have none of the namespaces that are needed: root does without a user namespace. The
// error is the same where they are only used up.
bool NamespacesAreSwitchedOff() {
  if (IsZero("/proc/sys/user/max_net_namespaces")) return true;
  return ::geteuid() != 0 && IsZero("/proc/sys/user/max_user_namespaces");
}

// As machines say it that never allow a namespace: not to this user, not in this kernel, or none of them at all.
bool NeverAllowed(const Error& error) {
  const int number = error.system_errno();
  if (number == ENOSPC) return NamespacesAreSwitchedOff();
  return number == EPERM || number == EACCES || number == EINVAL || number == ENOSYS;
}

bool IsShortOfSomething(const Error& error) {
  const int number = error.system_errno();
  return number == EAGAIN || number == ENOMEM || number == ENOSPC || number == EUSERS;
}

// One that is short of something may have it a moment later, and a server must not get the network because of that.
Result<io::Process> SpawnWithoutNetwork(const io::SpawnOptions& spawn) {
  auto process = io::Process::Spawn(spawn);
  for (const auto pause : {10ms, 50ms, 200ms}) {
    if (process || NeverAllowed(process.error()) || !IsShortOfSomething(process.error())) break;
    std::this_thread::sleep_for(pause);
    process = io::Process::Spawn(spawn);
  }
  return process;
}

}  // namespace

Result<Server> Server::Start(ServerOptions options) {
  const std::string socket = options.socket_directory + "/.s.PGSQL." + std::to_string(options.port);
  if (socket.size() > kLongestSocketPath) {
    return Fail(Error(ErrorCode::kInvalidArgument, "the socket's path \"" + socket + "\" is longer than " +
                                                       std::to_string(kLongestSocketPath) + " bytes")
                    .WithHint("choose a shorter directory with PGSTRATA_HOME"));
  }
  PGS_ASSIGN(const io::File log, io::File::Open(options.log_file, O_WRONLY | O_CREAT | O_APPEND));
  PGS_ASSIGN(const struct stat log_stat, log.Stat());
  io::SpawnOptions spawn{.argv = Arguments(options),
                         .environment = CleanEnvironment(options),
                         .user = options.user,
                         .working_directory = "/",
                         .standard_input = -1,
                         .standard_output = log.fd(),
                         .standard_error = log.fd(),
                         .keep_open = options.keep_open,
                         .new_session = true,
                         .without_network = options.without_network,
                         .signal_when_parent_dies = options.stop_when_parent_dies ? SIGQUIT : 0};
  if (!options.may_write_only.empty() && io::WriteRestriction::IsPossible()) {
    spawn.may_write = io::WriteRestriction(WritableFor(options));
  }
  Server server;
  auto process = spawn.without_network ? SpawnWithoutNetwork(spawn) : io::Process::Spawn(spawn);
  if (!process && spawn.without_network && NeverAllowed(process.error())) {
    server.why_not_isolated_ = process.error().message();
    spawn.without_network = false;
    process = io::Process::Spawn(spawn);
  }
  if (!process && spawn.without_network && !io::CanIsolateNetwork()) {
    return Fail(
        std::move(process).error().WithHint("this machine gave it no network namespace just now: try again, or let it "
                                            "have the network with --allow-network"));
  }
  if (!process) return std::unexpected(std::move(process).error());
  server.process_ = *std::move(process);
  server.isolated_ = spawn.without_network;
  server.confined_ = spawn.may_write.has_value();
  server.owned_ = true;
  server.log_start_ = static_cast<uint64_t>(log_stat.st_size);
  server.options_ = std::move(options);
  if (auto file = io::File::Open("/proc/" + std::to_string(server.pid()) + "/oom_score_adj", O_WRONLY)) {
    (void)file->WriteAt(0, AsBytes(kOutOfMemoryScore));  // a wish: the server also runs without it
  }
  return server;
}

Server::Server(Server&& other) noexcept { *this = std::move(other); }

Server& Server::operator=(Server&& other) noexcept {
  if (this == &other) return *this;
  if (owned_) (void)StopServer(*this, StopMode::kImmediate);
  options_ = std::move(other.options_);
  process_ = std::move(other.process_);
  log_start_ = other.log_start_;
  postmaster_ = std::move(other.postmaster_);
  owned_ = std::exchange(other.owned_, false);
  isolated_ = other.isolated_;
  why_not_isolated_ = std::move(other.why_not_isolated_);
  confined_ = other.confined_;
  return *this;
}

Server::~Server() {
  if (!owned_) return;
  if (const auto stopped = StopServer(*this, StopMode::kImmediate); !stopped) {
    log::Error("could not stop the server of \"{}\": {}", options_.data_directory, stopped.error().message());
  }
}

std::string Server::Log() const {
  constexpr uint64_t kMost = 1 << 20;
  const auto file = io::File::Open(options_.log_file, O_RDONLY);
  if (!file) return {};
  const auto status = file->Stat();
  if (!status) return {};
  const auto size = static_cast<uint64_t>(status->st_size);
  if (size <= log_start_) return {};
  const uint64_t length = std::min(size - log_start_, kMost);
  std::string text(length, '\0');
  const auto count = file->ReadAt(size - length, std::as_writable_bytes(std::span(text)));
  text.resize(count.value_or(0));
  return text;
}

// The postmaster alone is stopped. It has handed over all connections that stand, and the kernel queues new ones.
Status Server::HoldConnections() {
  PGS_TRY(process_.Signal(SIGSTOP));
  siginfo_t info{};
  while (::waitid(P_PID, static_cast<id_t>(pid()), &info, WSTOPPED | WEXITED | WNOWAIT) != 0) {
    if (errno == EINTR) continue;
    auto error = FailErrno("could not stop the server from accepting connections");
    PGS_TRY(AdmitConnections());
    return error;
  }
  return {};
}

Status Server::AdmitConnections() { return process_.Signal(SIGCONT); }

Result<std::optional<io::ExitStatus>> Server::TryWait() { return process_.Wait(std::chrono::milliseconds(0)); }

}  // namespace pgstrata::instance
