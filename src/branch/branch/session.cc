#include "branch/branch/session.h"

#include <fmt/core.h>
#include <unistd.h>

#include <utility>

#include "branch/branch/home.h"
#include "branch/branch/post_start.h"
#include "branch/branch/safety.h"
#include "branch/branch/source_configuration.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "postgres/client/environment.h"
#include "volume/layer/volume.h"
#include "volume/vfs/path_ops.h"

namespace pgstrata::branch {
namespace {

using namespace std::chrono_literals;

constexpr auto kServerGrace = 10s;
constexpr auto kWorkerGrace = 5s;
constexpr int kPort = 5432;

Result<io::UserIdentity> ServerUser(const std::string& wanted) {
  if (::geteuid() != 0) return io::CurrentUser();
  PGS_ASSIGN(auto user, io::FindUser(wanted));
  if (user.uid != 0) return user;
  return std::unexpected(Error(ErrorCode::kUsage, "PostgreSQL does not run as root").WithHint("name another --user"));
}

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

void Session::Mark(std::string step) {
  const double now = watch_.milliseconds();
  steps_.push_back({std::move(step), now - last_mark_ms_});
  last_mark_ms_ = now;
}

Status Session::Plan() {
  PGS_ASSIGN(facts_, InspectCluster(*request_.image));
  PGS_TRY(CheckTablespaces(*request_.image));
  PGS_ASSIGN(recovery_, PlanRecovery(*request_.image, facts_, request_.wal_archives));
  PGS_TRY(CheckComplete(recovery_, *request_.image));
  instance::InstallationSearch search;
  if (!request_.pg_bin.empty()) search.pg_bin = request_.pg_bin;
  PGS_ASSIGN(installation_, instance::FindInstallation(facts_.major_version, search));
  PGS_ASSIGN(owner_, ServerUser(request_.user));
  Mark("plan");
  return {};
}

Status Session::WriteServerFiles(const ServerPlan& plan) {
  PGS_TRY(directory_.WriteFile("postgresql.conf", plan.settings.ToConfigurationFile()));
  PGS_TRY(directory_.WriteFile("pg_hba.conf", HostBasedAuthentication()));
  return directory_.WriteFile("pg_ident.conf", "");
}

Status Session::MakeVolume() {
  PGS_ASSIGN(const std::string home, HomeDirectory());
  PGS_ASSIGN(directory_, SessionDirectory::Create(home, owner_, request_.image->name()));
  const SourceConfiguration configuration = ReadSourceConfiguration(*request_.image);
  PGS_ASSIGN(const ServerPlan plan,
             PlanServer(facts_, recovery_, configuration, request_.libraries, installation_, directory_.path()));
  for (const auto& warning : plan.warnings) events_.warning(warning);
  PGS_TRY(WriteServerFiles(plan));
  PGS_ASSIGN(auto image, WithWal(request_.image, recovery_, facts_.control.wal_segment_size));
  const vfs::Owner owner{owner_.uid, owner_.gid};
  PGS_ASSIGN(const auto volume,
             layer::Volume::Create({.image = std::move(image), .directory = directory_.layer(), .owner = owner}));
  PGS_TRY(MakeSafe(*volume, recovery_, owner));
  ChooseOfflineLogin([&](std::string_view path) { return vfs::ReadFileAt(*volume, std::string(path)); });
  Mark("prepare");
  start_processor_ = io::SharedProcessor::Enter();
  PGS_ASSIGN(
      worker_,
      worker::StartWorker(
          *volume, {.mount = {.mountpoint = directory_.mountpoint(), .allow_other = owner_.uid != ::geteuid()},
                    .log_file = directory_.worker_log(),
                    .on_parent_death = [path = directory_.path()] { static_cast<void>(EndServerOf(path)); },
                    .after_parent_death = [path = directory_.path()] { static_cast<void>(RemoveSession(path)); }}));
  Mark("mount");
  return {};
}

// A guess that recovery may prove wrong: a file that cannot be read yet is no reason to stop here.
void Session::ChooseOfflineLogin(const ClusterFileReader& read) {
  const auto login = ChooseLogin(facts_.major_version, facts_.kind == ClusterKind::kStopped, request_.database, read);
  own_login_ =
      login.value_or(Login{.role = "postgres", .database = request_.database.empty() ? "postgres" : request_.database});
}

Status Session::StartServer() {
  PGS_ASSIGN(server_, instance::Server::Start({.bin_directory = installation_.bin_directory,
                                               .data_directory = directory_.mountpoint(),
                                               .config_file = directory_.File("postgresql.conf"),
                                               .log_file = directory_.server_log(),
                                               .socket_directory = directory_.socket_directory(),
                                               .port = kPort,
                                               .user = ::geteuid() == 0 ? std::optional(owner_) : std::nullopt,
                                               .settings = {},
                                               .without_network = !request_.allow_network,
                                               .may_write_only = {directory_.path()},
                                               .stop_when_parent_dies = true}));
  start_processor_.Leave();
  if (!request_.allow_network && !server_.isolated()) {
    events_.warning(
        "the server shares this machine's network (pgstrata doctor tells why): extensions and programs "
        "that it runs could reach other servers");
  }
  if (!server_.confined() && facts_.kind != ClusterKind::kStopped) {
    events_.warning(
        "what the server writes cannot be confined on this machine (pgstrata doctor tells why): if the WAL to be "
        "replayed "
        "creates a tablespace, that reaches the place where production has it");
  }
  auto connection = WaitForLogin();
  if (!connection) return std::unexpected(Explain(std::move(connection).error()));
  connection_ = *std::move(connection);
  Mark("server");
  return {};
}

client::ConnectionParameters Session::Parameters(const Login& login) const {
  return {.socket_directory = directory_.socket_directory(),
          .port = kPort,
          .database = login.database,
          .user = login.role,
          // Workers of a parallel query could not start while the server holds its connections.
          .options = ClientOptions(login.superuser) + " -c max_parallel_workers_per_gather=0",
          .cancel_fd = events_.cancel_fd};
}

std::expected<client::Connection, instance::StartError> Session::WaitForLogin() {
  const instance::WaitOptions options{
      .cancel_fd = events_.cancel_fd,
      .progress =
          [this](std::chrono::milliseconds waited, std::string_view line) {
            FreeProcessors();
            events_.progress(
                fmt::format("recovering for {:.1f} s: {}", static_cast<double>(waited.count()) / 1000, line));
          },
      .on_taken = [this] { StartClientEarly(); },
      .on_lost = [this] { TakeClientBack(); }};
  auto connection = instance::WaitUntilReady(server_, Parameters(own_login_), options);
  if (connection || connection.error().problem() != instance::StartProblem::kRoleOrDatabase) return connection;
  // Recovery may have brought another truth than the files held before.
  const auto login = ChooseLogin(facts_.major_version, true, request_.database, [this](std::string_view path) {
    return io::ReadWholeFile(JoinPath(directory_.mountpoint(), path));
  });
  if (!login || (login->role == own_login_.role && login->database == own_login_.database)) return connection;
  own_login_ = *login;
  return instance::WaitUntilReady(server_, Parameters(own_login_), options);
}

// psql takes as long to be loaded as the session takes for its own first connection and the checks.
void Session::StartClientEarly() {
  const bool login_known = request_.role.empty() || request_.role == own_login_.role;
  if (!login_known || !events_.client_may_start || !server_.HoldConnections()) return;
  client_waits_ = true;
  login_ = own_login_;
  events_.client_may_start(*this);
}

void Session::TakeClientBack() {
  if (!client_waits_) return;
  events_.client_must_end();
  if (const auto admitted = Admit(); !admitted) events_.warning(admitted.error().message());
}

Status Session::Admit() {
  if (!std::exchange(client_waits_, false)) return {};
  return server_.AdmitConnections();
}

// To wait for each other is all that the worker and a starting server do. A long recovery and a client's own work have
// use for all processors.
void Session::FreeProcessors() const {
  start_processor_.Free(worker_.pid());
  start_processor_.Free(server_.pid());
}

// Where WAL ended too early, its own contents say which segment is missing.
Error Session::Explain(instance::StartError error) const {
  if (error.problem() != instance::StartProblem::kMissingWal) return error;
  const auto consistent = FindConsistentPoint(*request_.image, facts_, request_.wal_archives);
  if (consistent) return error;
  return Error(ErrorCode::kMissingWal, consistent.error().message() + "; the server says: " + error.message())
      .WithHint("name the directory that holds the WAL of this backup with --wal DIR");
}

Status Session::MakeReady() {
  if (own_login_.superuser) {
    PGS_ASSIGN(const auto report, CheckAfterStart(*connection_, request_.no_text_index));
    for (const auto& warning : report.warnings) events_.warning(warning);
  } else {
    events_.warning("role \"" + own_login_.role +
                    "\" is no superuser, and no superuser can log in: subscriptions, prepared transactions and "
                    "collations were not looked at");
  }
  PGS_TRY(ChooseClientLogin());
  connection_.reset();
  FreeProcessors();
  Mark("checks");
  return {};
}

Status Session::ChooseClientLogin() {
  login_ = own_login_;
  if (request_.role.empty() || request_.role == own_login_.role) return {};
  login_.role = request_.role;
  PGS_ASSIGN(const auto rows,
             connection_->Query("SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = $1", {request_.role}));
  login_.superuser = !rows.empty() && rows[0][0] == "t";
  if (own_login_.superuser && !login_.superuser) PGS_TRY(ForgetSessionLibraries(*connection_));
  PGS_TRY(client::Connection::Connect(Parameters(login_)));
  return {};
}

std::string Session::description() const {
  std::string text(ClusterKindName(facts_.kind));
  if (facts_.label) return text + " of " + facts_.label->start_time;
  return text + " of " + facts_.control.time.ToString();
}

io::Environment Session::ClientEnvironment() const {
  io::Environment environment = io::CurrentEnvironment();
  client::RemoveLibpqEnvironment(environment);
  environment["PGHOST"] = directory_.socket_directory();
  environment["PGPORT"] = std::to_string(kPort);
  environment["PGDATABASE"] = login_.database;
  environment["PGUSER"] = login_.role;
  environment["PGOPTIONS"] = ClientOptions(login_.superuser);
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
  connection_.reset();
  if (directory_.path().empty()) return {};
  Status first;
  const auto keep = [&first](Status status) {
    if (!status && first) first = std::move(status);
  };
  if (server_.owned()) keep(instance::StopServer(server_, instance::StopMode::kImmediate, kServerGrace));
  keep(worker_.Stop(kWorkerGrace));
  keep(RemoveSession(directory_.path()));
  return first;
}

}  // namespace pgstrata::branch
