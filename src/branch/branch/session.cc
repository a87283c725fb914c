#include "branch/branch/session.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "branch/branch/home.h"
#include "branch/branch/psql.h"
#include "branch/branch/safety.h"
#include "branch/branch/source_configuration.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "volume/layer/volume.h"
#include "volume/vfs/path_ops.h"

namespace pgstrata::branch {
namespace {

using namespace std::chrono_literals;

constexpr auto kServerGrace = 10s;
constexpr auto kWorkerGrace = 5s;

}  // namespace

Result<std::unique_ptr<Session>> Session::Open(OpenRequest request, const OpenEvents& events) {
  std::unique_ptr<Session> session(new Session);
  session->request_ = std::move(request);
  session->events_ = events;
  PGS_TRY(session->Plan());
  PGS_TRY(session->MakeVolume());
  PGS_TRY(session->StartServer());
  PGS_TRY(session->MakeReady());
  return session;
}

Session::~Session() {
  if (const auto status = Close(); !status && events_.warning) events_.warning(status.error().message());
}

Status Session::Plan() {
  PGS_ASSIGN(plan_, PlanCluster(*request_.image, request_.wal_archives, request_.pg_bin, request_.user, request_.at));
  if (plan_.recovery.moment) std::ranges::for_each(plan_.recovery.moment->warnings, events_.warning);
  steps_.Mark("plan");
  return {};
}

Status Session::WriteServerFiles(const ServerPlan& plan) {
  PGS_TRY(directory_.WriteFile("postgresql.conf", plan.settings.ToConfigurationFile()));
  PGS_TRY(directory_.WriteFile("pg_hba.conf", HostBasedAuthentication()));
  return directory_.WriteFile("pg_ident.conf", "");
}

Status Session::MakeVolume() {
  PGS_ASSIGN(const std::string home, HomeDirectory());
  PGS_ASSIGN(directory_, SessionDirectory::Create(home, plan_.owner, request_.image->name()));
  PGS_ASSIGN(mount_, fuse::StartedMount::Begin(
                         {.mountpoint = directory_.mountpoint(), .allow_other = plan_.owner.uid != ::geteuid()}));
  const SourceConfiguration configuration = ReadSourceConfiguration(*request_.image);
  PGS_ASSIGN(const ServerPlan plan,
             PlanServer(plan_.facts, plan_.recovery, configuration, request_.libraries, plan_.installation,
                        {.hba_file = directory_.File("pg_hba.conf"),
                         .ident_file = directory_.File("pg_ident.conf"),
                         .external_pid_file = directory_.File("server.pid")},
                        Lifetime::kThrowaway));
  for (const auto& warning : plan.warnings) events_.warning(warning);
  PGS_TRY(WriteServerFiles(plan));
  PGS_ASSIGN(auto image, WithWal(request_.image, plan_.recovery, plan_.facts.control.wal_segment_size));
  const vfs::Owner owner{plan_.owner.uid, plan_.owner.gid};
  PGS_ASSIGN(const auto volume,
             layer::Volume::Create({.image = std::move(image), .directory = directory_.layer(), .owner = owner}));
  PGS_TRY(MakeSafe(*volume, plan_.recovery.mode, owner));
  first_login_ = GuessLogin(plan_.facts.major_version, plan_.recovery.mode == RecoveryMode::kNone, request_.database,
                            [&](std::string_view path) { return vfs::ReadFileAt(*volume, std::string(path)); });
  steps_.Mark("prepare");
  start_processor_ = io::SharedProcessor::Enter();
  PGS_ASSIGN(worker_,
             worker::StartWorker(
                 *volume, mount_,
                 {.log_file = directory_.worker_log(),
                  .on_start = [image = request_.image] { image->BeginReading(); },
                  .on_end = [image = request_.image] { image->EndReading(); },
                  .on_parent_death = [path = directory_.path()] { static_cast<void>(EndServerOf(path)); },
                  .after_parent_death = [path = directory_.path()] { static_cast<void>(RemoveSession(path)); }}));
  steps_.Mark("mount");
  return {};
}

Status Session::StartServer() {
  PGS_ASSIGN(server_, ClusterServer::Start({.bin_directory = plan_.installation.bin_directory,
                                            .major_version = plan_.facts.major_version,
                                            .owner = plan_.owner,
                                            .data_directory = directory_.mountpoint(),
                                            .config_file = directory_.File("postgresql.conf"),
                                            .log_file = directory_.server_log(),
                                            .socket_directory = directory_.socket_directory(),
                                            .may_write_only = {directory_.path()},
                                            .settings = {},
                                            .allow_network = request_.allow_network,
                                            .ends_with_command = true,
                                            .replays = plan_.recovery.mode != RecoveryMode::kNone,
                                            .no_text_index = request_.no_text_index,
                                            .database = request_.database,
                                            .role = request_.role,
                                            .first_login = first_login_},
                                           {.warning = events_.warning,
                                            .progress = events_.progress,
                                            .cancel_fd = events_.cancel_fd,
                                            .takes_long = [this] { FreeProcessors(); },
                                            .on_taken = [this] { StartClientEarly(); },
                                            .on_lost = [this] { TakeClientBack(); }}));
  start_processor_.Leave();
  if (auto ready = server_.AwaitLogin(); !ready) return std::unexpected(Explain(std::move(ready).error()));
  steps_.Mark("server");
  return {};
}

// psql takes as long to be loaded as the session takes for its own first connection and the checks.
void Session::StartClientEarly() {
  const bool login_known = request_.role.empty() || request_.role == server_.own_login().role;
  if (!login_known || !events_.client_may_start || !server_.server().HoldConnections()) return;
  client_waits_ = true;
  events_.client_may_start(*this);
}

void Session::TakeClientBack() {
  if (!client_waits_) return;
  events_.client_must_end();
  if (const auto admitted = Admit(); !admitted) events_.warning(admitted.error().message());
}

Status Session::Admit() {
  if (!std::exchange(client_waits_, false)) return {};
  return server_.server().AdmitConnections();
}

// To wait for each other is all that the worker and a starting server do. A long recovery and a client's own work have
// use for all processors.
void Session::FreeProcessors() const {
  start_processor_.Free(worker_.pid());
  start_processor_.Free(server_.server().pid());
}

// Where WAL ended too early, its own contents say which segment is missing.
Error Session::Explain(instance::StartError error) const {
  if (error.problem() != instance::StartProblem::kMissingWal) return error;
  const auto consistent = FindConsistentPoint(*request_.image, plan_.facts, request_.wal_archives);
  if (consistent) return error;
  return Error(ErrorCode::kMissingWal, consistent.error().message() + "; the server says: " + error.message())
      .WithHint("name the directory that holds the WAL of this backup with --wal DIR");
}

Status Session::MakeReady() {
  PGS_TRY(server_.MakeReady());
  FreeProcessors();
  steps_.Mark("checks");
  return {};
}

std::string Session::description() const {
  const std::string what = DescribeCluster(plan_.facts);
  return plan_.recovery.moment ? what + ", at " + plan_.recovery.moment->description : what;
}

Status Session::WritePsqlrc(std::string_view source_name) const {
  return directory_.WriteFile("psqlrc", PsqlrcText(source_name));
}

io::Environment Session::ClientEnvironment() const {
  io::Environment environment = branch::ClientEnvironment(directory_.socket_directory(), server_.login());
  environment["PSQLRC"] = directory_.File("psqlrc");
  return environment;
}

uint64_t Session::LayerBytes() const { return io::AllocatedBytes(directory_.layer()).value_or(0); }

std::string Session::WorkerLogTail() const {
  constexpr size_t kTail = 2000;
  const std::string log = io::ReadWholeFile(directory_.worker_log()).value_or("");
  return log.size() > kTail ? log.substr(log.size() - kTail) : log;
}

Status Session::Close() {
  if (closed_) return {};
  closed_ = true;
  if (client_waits_) events_.client_must_end();
  server_.Disconnect();
  if (directory_.path().empty()) return {};
  Status first;
  const auto keep = [&first](Status status) {
    if (!status && first) first = std::move(status);
  };
  // The server may go on in a mount that nobody else sees any more.
  if (server_.server().owned()) {
    keep(worker_.BeginToDetach());
    keep(instance::StopServer(server_.server(), instance::StopMode::kImmediate, kServerGrace));
  }
  keep(worker_.Stop(kWorkerGrace));
  mount_ = {};
  keep(RemoveSession(directory_.path()));
  return first;
}

}  // namespace pgstrata::branch
