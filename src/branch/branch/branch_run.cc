#include "branch/branch/branch_run.h"

#include <unistd.h>

#include <chrono>
#include <csignal>
#include <utility>

#include "branch/branch/cluster_plan.h"
#include "branch/branch/cluster_server.h"
#include "branch/branch/safety.h"
#include "branch/branch/server_lock.h"
#include "branch/branch/server_settings.h"
#include "branch/branch/socket_directory.h"
#include "branch/branch/source_configuration.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "foundation/io/shared_processor.h"
#include "postgres/pgdata/config_file.h"
#include "volume/fuse/mount.h"
#include "volume/vfs/path_ops.h"
#include "volume/worker/control_client.h"
#include "volume/worker/kept_worker.h"

namespace pgstrata::branch {
namespace {

using namespace std::chrono_literals;

constexpr mode_t kReadable = 0644;
constexpr auto kStopStep = 100ms;

// One start, step by step; what it made is taken back by ClearAway when it fails.
class Rise {
 public:
  Rise(const LockedBranch& branch, const BranchEvents& events) : branch_(branch), events_(events) {}

  Status Prepare(const std::shared_ptr<const image::Image>& image, const RecoveryPlan* recovery) {
    PGS_ASSIGN(owner_, OwnerOf(branch_.record));
    PGS_ASSIGN(installation_, FindServerPrograms(branch_.record.major_version, branch_.record.pg_bin));
    PGS_ASSIGN(volume_, OpenVolume(branch_.home, branch_.record, image));
    PGS_TRY(ForgetServer(*volume_));
    const ClusterFileReader read = [&](std::string_view path) { return vfs::ReadFileAt(*volume_, path); };
    PGS_ASSIGN(facts_, InspectCluster(branch_.record.name, read));
    if (recovery != nullptr && recovery->moment) {
      recovery_ = *recovery;
      RaiseCapacities(*recovery_.moment, facts_);
    } else if (vfs::ExistsAt(*volume_, "recovery.signal")) {
      recovery_.mode = RecoveryMode::kArchive;
    } else if (facts_.kind != ClusterKind::kStopped) {
      recovery_.mode = RecoveryMode::kCrash;
    }
    first_login_ =
        GuessLogin(facts_.major_version, recovery_.mode == RecoveryMode::kNone, branch_.record.database, read);
    return WriteServerFiles(*image);
  }

  Status Mount() {
    const auto& directory = branch_.directory;
    // The lock file of a killed server's socket names a process id that may be another's now.
    PGS_TRY(io::RemoveTree(directory.run()));
    PGS_TRY(MakeOwnedDirectory(directory.run(), owner_));
    PGS_ASSIGN(socket_directory_, MakeSocketDirectory(directory.run(), directory.socket_link(), owner_));
    processor_ = io::SharedProcessor::Enter();
    PGS_ASSIGN(
        worker_,
        worker::StartKeptWorker(
            *volume_, {.mount = {.mountpoint = directory.mountpoint(), .allow_other = owner_.uid != ::geteuid()},
                       .log_file = directory.worker_log(),
                       .control_socket = directory.control(),
                       .source = branch_.record.source.path,
                       .before_unmount = [server = directory.server()] { static_cast<void>(EndServer(server)); }}));
    volume_.reset();
    return {};
  }

  Status StartServer() {
    const auto& directory = branch_.directory;
    const auto& record = branch_.record;
    PGS_ASSIGN(const ServerLock lock, ServerLock::Acquire(directory.server_lock()));
    PGS_ASSIGN(server_, ClusterServer::Start({.bin_directory = installation_.bin_directory,
                                              .major_version = facts_.major_version,
                                              .owner = owner_,
                                              .data_directory = directory.mountpoint(),
                                              .config_file = directory.conf() + "/postgresql.conf",
                                              .log_file = directory.server_log(),
                                              .socket_directory = socket_directory_,
                                              .may_write_only = {directory.wal(record.wal), directory.run()},
                                              .settings = GuardedSettings(settings_),
                                              .keep_open = {lock.fd()},
                                              .allow_network = record.allow_network,
                                              .replays = recovery_.mode != RecoveryMode::kNone,
                                              .database = record.database,
                                              .role = record.role,
                                              .first_login = first_login_},
                                             {.warning = events_.warning,
                                              .progress = events_.progress,
                                              .cancel_fd = events_.cancel_fd,
                                              .takes_long = [this] { FreeProcessors(); }}));
    processor_.Leave();
    if (auto ready = server_.AwaitLogin(); !ready) return std::unexpected(std::move(ready).error());
    PGS_TRY(server_.MakeReady());
    FreeProcessors();
    return record.max_size == 0 ? Status{} : LimitRunning(directory, record.max_size);
  }

  BroughtUp Finish() {
    server_.server().Release();
    return {.login = server_.login(), .server_version = installation_.version.ToString()};
  }

 private:
  Status WriteServerFiles(const image::Image& image) {
    const std::string conf = branch_.directory.conf();
    SourceConfiguration configuration = ReadSourceConfiguration(image);
    LibraryRequest libraries;
    libraries.advice = "pgstrata branch set " + branch_.record.name + " shared_preload_libraries=";
    const auto own = branch_.record.parameters.find("shared_preload_libraries");
    if (own != branch_.record.parameters.end()) {
      configuration.settings[own->first] = own->second;
      PGS_ASSIGN(libraries.with, pgdata::SplitLibraryList(own->second));
    }
    PGS_ASSIGN(auto plan, PlanServer(facts_, recovery_, configuration, libraries, installation_,
                                     {.hba_file = conf + "/pg_hba.conf",
                                      .ident_file = conf + "/pg_ident.conf",
                                      .external_pid_file = branch_.directory.run() + "/server.pid"},
                                     branch_.record.ephemeral ? Lifetime::kEphemeral : Lifetime::kDurable));
    for (const auto& warning : plan.warnings) events_.warning(warning);
    settings_ = std::move(plan.settings);
    // Needed where there are tablespaces, or where WAL that is replayed may make one; elsewhere as PostgreSQL has it.
    const auto tablespaces = vfs::ListAt(*volume_, "pg_tblspc");
    if (recovery_.mode == RecoveryMode::kNone && tablespaces && tablespaces->empty()) {
      settings_.SetIfExists("allow_in_place_tablespaces", "off", installation_.version);
    }
    for (const auto& [name, value] : branch_.record.parameters) settings_.Set(name, value);
    PGS_TRY(io::WriteWholeFile(conf + "/postgresql.conf", settings_.ToConfigurationFile(), kReadable));
    PGS_TRY(io::WriteWholeFile(conf + "/pg_hba.conf", HostBasedAuthentication(), kReadable));
    return io::WriteWholeFile(conf + "/pg_ident.conf", "", kReadable);
  }

  void FreeProcessors() const {
    processor_.Free(worker_.process.pid());
    processor_.Free(server_.server().pid());
  }

  const LockedBranch& branch_;
  const BranchEvents& events_;
  io::UserIdentity owner_;
  instance::Installation installation_;
  std::unique_ptr<layer::Volume> volume_;
  ClusterFacts facts_;
  RecoveryPlan recovery_;
  Login first_login_;
  instance::Settings settings_;
  std::string socket_directory_;
  io::SharedProcessor processor_;
  worker::KeptWorker worker_;
  ClusterServer server_;
};

Status QuitWorker(worker::ControlClient& client, Users users) {
  const auto quit = client.Quit();
  if (quit || users == Users::kRespect || quit.error().code() != ErrorCode::kBusy) return quit;
  return client.Quit(true);
}

}  // namespace

Result<Liveness> LookAt(const BranchDirectory& directory) {
  Liveness alive;
  alive.server = FindPostmaster(directory.server());
  if (const auto client = worker::ControlClient::Connect(directory.control())) alive.worker = client->pid();
  PGS_ASSIGN(const auto mount, fuse::FindMount(directory.mountpoint()));
  alive.mounted = mount.has_value();
  return alive;
}

Status LimitRunning(const BranchDirectory& directory, uint64_t max_bytes) {
  PGS_ASSIGN(auto client, worker::ControlClient::ConnectIfAlive(directory.control()));
  return client ? client->Limit(max_bytes) : Status{};
}

Result<BroughtUp> BringUp(const LockedBranch& branch, const std::shared_ptr<const image::Image>& image,
                          const BranchEvents& events, bool& closed_in_order, const RecoveryPlan* recovery) {
  closed_in_order = true;
  bool mounted = false;
  Status status;
  {
    Rise rise(branch, events);
    status = rise.Prepare(image, recovery);
    if (status) status = rise.Mount();
    mounted = status.has_value();
    if (status) status = rise.StartServer();
    if (status) return rise.Finish();
  }  // a server that is not ready is ended here
  if (mounted) {
    const auto cleared = ClearAway(branch.directory, Users::kCutOff);
    closed_in_order = cleared.value_or(false);
    if (!cleared) events.warning(cleared.error().message());
  } else {
    static_cast<void>(RemoveSocketDirectory(branch.directory.socket_link()));
  }
  return std::unexpected(std::move(status).error());
}

Status StopServerFast(const BranchDirectory& directory, const BranchEvents& events) {
  const auto pid = FindPostmaster(directory.server());
  if (!pid) return {};
  PGS_ASSIGN(io::Process server, io::Process::Adopt(*pid));
  PGS_TRY(server.Signal(SIGINT));
  PGS_TRY(server.Signal(SIGCONT));  // a command that died may have held its connections
  while (true) {
    PGS_ASSIGN(const auto ended, server.Wait(kStopStep));
    if (ended) return {};
    if (events.IsCancelled()) {
      return Fail(ErrorCode::kCancelled, "the server still writes its checkpoint; it ends when that is done");
    }
  }
}

Result<bool> ClearAway(const BranchDirectory& directory, Users users) {
  PGS_TRY(EndServer(directory.server()));
  {
    PGS_TRY(ServerLock::Acquire(directory.server_lock()));
  }
  auto client = worker::ControlClient::Connect(directory.control());
  if (client) PGS_TRY(QuitWorker(*client, users));
  PGS_ASSIGN(const auto mount, fuse::FindMount(directory.mountpoint()));
  if (mount) PGS_TRY(fuse::Unmount(directory.mountpoint(), {.lazy = true, .abort_first = true}));
  PGS_TRY(RemoveSocketDirectory(directory.socket_link()));
  return client.has_value() && !mount;
}

}  // namespace pgstrata::branch
