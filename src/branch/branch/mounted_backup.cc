// Invariants:
//   - The process that serves the mount never has to look into it: nothing that it reads or writes lies below the
//     mountpoint.
//   - The source is never written: the diff directory does not lie in it.
//   - The edits of a new volume are durable before its diff directory is whole, and made once.
#include "branch/branch/mounted_backup.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "branch/branch/cluster_facts.h"
#include "branch/branch/diff_directory.h"
#include "branch/branch/home.h"
#include "branch/branch/recovery_plan.h"
#include "branch/branch/replayed_tablespaces.h"
#include "branch/branch/safety.h"
#include "branch/branch/server_settings.h"
#include "branch/branch/volume_part.h"
#include "branch/branch/wal_inventory.h"
#include "foundation/base/log.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/process.h"
#include "postgres/pgdata/config_file.h"
#include "postgres/pgdata/recovery_target.h"
#include "volume/fuse/mount.h"
#include "volume/layer/layer_directory.h"
#include "volume/layer/volume.h"
#include "volume/vfs/path_ops.h"
#include "volume/worker/control_client.h"
#include "volume/worker/mount_users.h"

namespace pgstrata::branch {
namespace {

constexpr const char* kAutoConf = "postgresql.auto.conf";
constexpr const char* kControlSocket = "control";
constexpr const char* kWorkerLog = "worker.log";
constexpr const char* kPgWal = "pg_wal";
constexpr mode_t kPassableHome = 0711;  // servers of other commands run as another user
constexpr size_t kOpenWalFiles = 64;
constexpr std::chrono::hours kNever{24 * 365 * 100};
constexpr std::string_view kReadOnlyPrefix = "mount-";

bool IsBelow(const std::string& path, const std::string& directory) {
  return directory == "/" || path == directory || path.starts_with(directory + '/');
}

Status RefuseOverlap(const std::string& mountpoint, const std::string& path, const std::string& what) {
  if (IsBelow(path, mountpoint)) {
    return Fail(ErrorCode::kInvalidArgument,
                "a mount at " + Quoted(mountpoint) + " would hide " + what + ' ' + Quoted(path));
  }
  if (IsBelow(mountpoint, path)) {
    return Fail(ErrorCode::kInvalidArgument,
                "the mountpoint " + Quoted(mountpoint) + " lies in " + what + ' ' + Quoted(path));
  }
  return {};
}

// Where the bytes of the source lie: its directory and what its links lead to.
Result<std::vector<std::string>> PlacesOf(const MountRequest& request) {
  std::vector<std::string> places = {request.source_path};
  places.insert(places.end(), request.source_older.begin(), request.source_older.end());
  for (const char* directory : {"", "pg_tblspc"}) {
    const auto entries = request.image->List(directory);
    if (!entries && entries.error().code() == ErrorCode::kNotFound) continue;
    PGS_TRY(entries);
    for (const auto& entry : *entries) {
      if (!entry.grafted_from.empty())
        places.push_back(io::ResolvePath(entry.grafted_from).value_or(entry.grafted_from));
    }
  }
  return places;
}

Status CheckPlaces(const MountRequest& request, const std::string& mountpoint, const std::string& directory) {
  PGS_TRY(RefuseOverlap(mountpoint, directory, "the diff directory"));
  PGS_ASSIGN(const auto places, PlacesOf(request));
  for (const auto& place : places) {
    PGS_TRY(RefuseOverlap(mountpoint, place, "the source"));
    if (IsBelow(directory, place)) {
      return Fail(Error(ErrorCode::kInvalidArgument, "the diff directory " + Quoted(directory) + " lies in the source")
                      .WithHint("name one outside of " + Quoted(place)));
    }
  }
  for (const auto& wal : request.wal) PGS_TRY(RefuseOverlap(mountpoint, wal, "--wal"));
  return {};
}

// A server that goes on after its mount died has to be ended before its files are shown again: it would go on telling
// its clients that their work is kept.
Status RequireNoSurvivors(const std::string& directory) {
  PGS_ASSIGN(const auto mounts, fuse::ListMounts());
  for (const auto& mount : mounts) {
    if (mount.source != directory) continue;
    const auto users = worker::FindMountUsers(mount.mountpoint);
    if (users.empty()) continue;
    return Fail(
        Error(ErrorCode::kBusy, worker::DescribeUse(users, Quoted(mount.mountpoint)) + ", whose process has died")
            .WithHint("end it, or take the mount away from it: pgstrata unmount --force " + mount.mountpoint));
  }
  return {};
}

Result<io::UserIdentity> Owner(const std::string& asked, const std::string& remembered) {
  const std::string& name = asked.empty() ? remembered : asked;
  if (!name.empty()) return io::FindUser(name);
  if (::geteuid() != 0) return io::CurrentUser();
  auto user = io::FindUser("postgres");
  if (user) return user;
  return Fail(std::move(user).error().WithHint("name who shall own the files with --user"));
}

// Absolute, with links resolved as far as it is there.
Result<std::string> PathOfMaybeMissing(const std::string& path) {
  std::error_code failed;
  const auto absolute = std::filesystem::absolute(path, failed);
  if (failed) return Fail(Error::FromErrno(failed.value(), "could not resolve " + Quoted(path)));
  auto resolved = std::filesystem::weakly_canonical(absolute, failed).string();
  if (failed) return Fail(Error::FromErrno(failed.value(), "could not resolve " + Quoted(path)));
  while (resolved.size() > 1 && resolved.ends_with('/')) resolved.pop_back();
  return resolved;
}

bool HasTablespaces(const image::Image& image) {
  const auto entries = image.List("pg_tblspc");
  return entries && !entries->empty();
}

// What keeps a server that is started on the volume from reaching production, and lets it recover with what is there
// (docs/safety.md). At the end of the file that is read last of all.
std::string SafeSettings(const ClusterFacts& facts, const RecoveryPlan& recovery, bool tablespaces) {
  const bool archive_recovery = recovery.mode == RecoveryMode::kArchive;
  std::vector<std::pair<std::string, std::string>> settings = {{"archive_mode", "off"},
                                                               {"archive_cleanup_command", ""},
                                                               {"recovery_end_command", ""},
                                                               {"primary_conninfo", ""},
                                                               {"primary_slot_name", ""},
                                                               {"synchronous_standby_names", ""},
                                                               {"max_logical_replication_workers", "0"},
                                                               {"recovery_target", ""},
                                                               {"recovery_target_lsn", ""},
                                                               {"recovery_target_name", ""},
                                                               {"recovery_target_time", ""},
                                                               {"recovery_target_xid", ""},
                                                               {"recovery_target_timeline", "current"},
                                                               {"recovery_min_apply_delay", "0"},
                                                               {"restore_command", archive_recovery ? "false" : ""}};
  constexpr int kSlotsAreSynchronized = 17;
  if (facts.major_version >= kSlotsAreSynchronized) settings.emplace_back("sync_replication_slots", "off");
  if (archive_recovery) settings.emplace_back("hot_standby", "off");
  const auto moment = MomentSettings(recovery, facts);  // the last line of a name counts
  settings.insert(settings.end(), moment.entries().begin(), moment.entries().end());
  if (tablespaces) settings.emplace_back("allow_in_place_tablespaces", "on");
  std::string text = "# pgstrata mount: away from production (docs/safety.md)\n";
  for (const auto& [name, value] : settings) text += name + " = " + pgdata::QuoteConfigValue(value) + '\n';
  return text;
}

Status EditOnce(layer::Volume& volume, const MountRequest& request, const ClusterFacts& facts,
                const RecoveryPlan& recovery, vfs::Owner owner) {
  std::string configuration;
  if (vfs::ExistsAt(volume, kAutoConf)) {
    PGS_ASSIGN(configuration, vfs::ReadFileAt(volume, kAutoConf));
  }
  if (!configuration.empty() && !configuration.ends_with('\n')) configuration += '\n';
  configuration += SafeSettings(facts, recovery, HasTablespaces(*request.image));
  PGS_TRY(MakeSafe(volume, recovery.mode, owner));
  PGS_TRY(vfs::WriteFileAt(volume, kAutoConf, AsBytes(configuration), 0600, owner));
  return volume.Flush();
}

std::string Describe(const ClusterFacts& facts) {
  const std::string when = facts.label ? facts.label->start_time : facts.control.time.ToString();
  return "PostgreSQL " + std::to_string(facts.major_version) + ", " + std::string(ClusterKindName(facts.kind)) +
         " of " + when;
}

// --at as it was typed, with the timeline where one was named.
std::string Words(const MomentRequest& at) {
  return at.timeline ? fmt::format("{} --timeline {}", at.at, at.timeline->value) : at.at;
}

class Mounting {
 public:
  explicit Mounting(const MountRequest& request) : request_(request) {}

  Result<MountedBackup> Run() {
    const bool read_only = request_.diff_directory.empty();
    PGS_ASSIGN(facts_, InspectCluster(*request_.image));
    PGS_TRY(read_only ? PrepareReadOnly() : PrepareDiff());
    PGS_TRY(mounted_.continued ? FindWalAgain() : PlanWal());
    PGS_ASSIGN(stack_.image, WithWal(request_.image, recovery_, facts_.control.wal_segment_size));
    PGS_TRY(PlaceLog());
    PGS_ASSIGN(volume_, OpenVolume());
    if (request_.no_wal) PGS_TRY(SetWalAside(*volume_));
    PGS_TRY(PublishDiff());
    return Start(*volume_);
  }

  // After a Run that failed.
  Status Abandon() {
    if (stack_.read_only) return io::RemoveTree(mounted_.directory);
    return diff_.Abandon();
  }

 private:
  // Nothing is made before its place is known to be a good one.
  Status PrepareDiff() {
    PGS_ASSIGN(mounted_.directory, PathOfMaybeMissing(request_.diff_directory));
    PGS_ASSIGN(mounted_.mountpoint, ResolveFree(mounted_.directory));
    PGS_TRY(CheckPlaces(request_, mounted_.mountpoint, mounted_.directory));
    PGS_ASSIGN(diff_, DiffDirectory::Enter(mounted_.directory));
    PGS_TRY(RequireNoSurvivors(mounted_.directory));
    PGS_TRY(io::RemoveTree(diff_.File(kPassingWal)));
    PGS_ASSIGN(record_.origin, DescribeOrigin(*request_.image, facts_));
    record_.origin.given = request_.source_given;
    record_.origin.name = request_.source_name;
    record_.origin.path = request_.source_path;
    record_.origin.wal = request_.wal;
    record_.origin.chain = request_.chain;
    record_.origin.cipher_pass_file = request_.cipher_pass_file;
    record_.no_wal = request_.no_wal;
    record_.layers = {kFirstLayer};
    mounted_.continued = !diff_.is_new();
    if (request_.at) record_.at = Words(*request_.at);
    if (mounted_.continued) PGS_TRY(Continue(diff_.record()));
    PGS_ASSIGN(owner_, Owner(request_.user, mounted_.continued ? diff_.record().user : ""));
    record_.user = owner_.name;
    stack_.layers = diff_.LayerPaths(record_);
    return {};
  }

  Status Continue(const DiffRecord& before) {
    PGS_TRY(RequireTrusted(before));
    PGS_TRY(CheckSameOrigin(before.origin, record_.origin, request_.moved, mounted_.directory));
    if (request_.at && (record_.at != before.at || pgdata::DependsOnNow(request_.at->at))) {
      return Fail(Error(ErrorCode::kInvalidArgument,
                        Quoted(mounted_.directory) + " was made " +
                            (before.at.empty() ? "without --at" : "with --at " + Quoted(before.at)) +
                            " and goes on from there")
                      .WithHint("leave --at out, or name another --diff-dir"));
    }
    record_.at = before.at;
    record_.wal_files = before.wal_files;
    record_.layers = before.layers;
    return {};
  }

  [[nodiscard]] Status RequireTrusted(const DiffRecord& before) const {
    if (before.no_wal) {
      return Fail(
          Error(ErrorCode::kCorrupt, Quoted(mounted_.directory) +
                                         " was mounted with --no-wal: the WAL of what is in it is gone, and it "
                                         "cannot be mounted again")
              .WithHint("name another --diff-dir; pgstrata cleanup " + mounted_.directory + " removes this one"));
    }
    if (!diff_.is_dirty() || request_.force) return {};
    return Fail(Error(ErrorCode::kCorrupt, Quoted(mounted_.directory) +
                                               " was mounted with --perf-unsafe and not unmounted in order: what is in "
                                               "it may be damaged")
                    .WithHint("name another --diff-dir, or look at what is left with --force"));
  }

  Status PlanWal() {
    PGS_ASSIGN(recovery_, PlanRecovery(*request_.image, facts_, request_.wal_archives, request_.at));
    for (const auto& wal : recovery_.from_archives) record_.wal_files.push_back(wal.name);
    if (recovery_.moment) mounted_.warnings = recovery_.moment->warnings;
    return {};
  }

  // The volume has a history of its own now: WAL that came to the archive since belongs to another one.
  Status FindWalAgain() {
    PGS_ASSIGN(const auto inventory,
               WalInventory::Take(*request_.image, request_.wal_archives, WalPreference::kFarthest));
    for (const auto& name : record_.wal_files) {
      if (!inventory.Has(name) || inventory.PlaceOf(name).archive == nullptr) {
        return Fail(ErrorCode::kMissingWal, "WAL file " + Quoted(name) + ", which " + Quoted(mounted_.directory) +
                                                " was made with, is in no --wal directory any more");
      }
      AddFromArchive(inventory, name, recovery_);
    }
    return {};
  }

  Status PrepareReadOnly() {
    PGS_ASSIGN(const std::string home, HomeDirectory());
    PGS_TRY(io::MakeDirectories(home, kPassableHome));
    PGS_TRY(io::MakeDirectories(home + "/mounts"));
    PGS_ASSIGN(const std::string mounts, io::ResolvePath(home + "/mounts"));
    PGS_ASSIGN(mounted_.mountpoint, ResolveFree(""));
    PGS_TRY(CheckPlaces(request_, mounted_.mountpoint, mounts));
    PGS_ASSIGN(owner_, Owner(request_.user, ""));
    PGS_ASSIGN(mounted_.directory, io::MakeTemporaryDirectory(JoinPath(mounts, kReadOnlyPrefix)));
    stack_.read_only = true;
    return {};
  }

  // What a dead process of this directory left at the mountpoint is no hindrance.
  [[nodiscard]] Result<std::string> ResolveFree(const std::string& own_directory) const {
    PGS_ASSIGN(std::string mountpoint, fuse::ResolveMountpoint(request_.mountpoint));
    PGS_ASSIGN(const auto mount, fuse::FindMount(mountpoint));
    if (mount && mount->type == fuse::kMountType && mount->source != own_directory) {
      return Fail(Error(ErrorCode::kBusy, Quoted(mount->source) + " is mounted at " + Quoted(mountpoint) + " already")
                      .WithHint("pgstrata unmount " + mountpoint));
    }
    return mountpoint;
  }

  Status PlaceLog() {
    log_file_ = JoinPath(mounted_.directory, kWorkerLog);
    if (request_.log_file.empty()) return {};
    PGS_ASSIGN(log_file_, PathOfMaybeMissing(request_.log_file));
    if (!IsBelow(log_file_, mounted_.mountpoint)) return {};
    return Fail(Error(ErrorCode::kInvalidArgument, "the log " + Quoted(log_file_) + " would lie in the mount")
                    .WithHint("the mount shows its log by itself, in " + std::string(worker::kStatusDirectory)));
  }

  Result<std::unique_ptr<layer::Volume>> OpenVolume() {
    const vfs::Owner owner{owner_.uid, owner_.gid};
    stack_.owner = owner;
    stack_.unsafe_syncs = request_.unsafe_syncs;
    const bool is_new = !stack_.read_only && !mounted_.continued;
    if (is_new) {
      PGS_TRY(CheckTablespaces(*request_.image));
      PGS_TRY(CheckComplete(recovery_, *request_.image));
      PGS_TRY(RefuseTablespaces());
      PGS_TRY(layer::MakeLayer(stack_.layers.front()));
    }
    PGS_ASSIGN(auto volume, layer::Volume::Open(stack_));
    if (is_new) PGS_TRY(EditOnce(*volume, request_, facts_, recovery_, owner));
    return volume;
  }

  // pg_wal as it is now, and what is written to it in a layer that nobody keeps.
  Status SetWalAside(layer::Volume& volume) {
    PGS_ASSIGN(passing_wal_, layer::Volume::Create({.image = std::make_shared<VolumePart>(volume, kPgWal),
                                                    .directory = diff_.File(kPassingWal),
                                                    .owner = {owner_.uid, owner_.gid},
                                                    .max_open_files = kOpenWalFiles}));
    return {};
  }

  // What the directory has to say before anything is shown from it.
  Status PublishDiff() {
    if (stack_.read_only) return {};
    was_dirty_ = diff_.is_dirty();
    before_ = diff_.record();
    Status published = request_.unsafe_syncs ? diff_.MarkDirty() : Status();
    if (published) published = diff_.Publish(record_);
    if (!published) TakeBackPublished();
    return published;
  }

  // After a start that failed. What is new is removed as a whole.
  void TakeBackPublished() {
    if (!mounted_.continued) return;
    static_cast<void>(io::RemoveTree(diff_.File(kPassingWal)));
    static_cast<void>(diff_.Publish(before_));
    if (!was_dirty_) static_cast<void>(ClearDirtyMark(mounted_.directory));
  }

  // The last thing that the worker does.
  [[nodiscard]] std::function<void(bool)> AfterEnd() const {
    const std::string& directory = mounted_.directory;
    if (stack_.read_only) return [directory](bool /*clean*/) { static_cast<void>(io::RemoveTree(directory)); };
    return [directory, wal = diff_.File(kPassingWal), unsafe = request_.unsafe_syncs](bool clean) {
      static_cast<void>(io::RemoveTree(wal));
      if (!unsafe || !clean) return;
      if (const auto cleared = ClearDirtyMark(directory); !cleared) log::Error("{}", cleared.error().message());
    };
  }

  Status RefuseTablespaces() const {
    if (!recovery_.moment) return RefuseReplayedTablespaces(*request_.image, facts_, request_.wal_archives);
    const auto& place = recovery_.moment->tablespace_place;
    return place.empty() ? Status() : RefuseTablespaceAt(place, request_.image->name());
  }

  Result<MountedBackup> Start(layer::Volume& volume) {
    mounted_.control_socket = JoinPath(mounted_.directory, kControlSocket);
    mounted_.description = Describe(facts_);
    if (recovery_.moment) mounted_.description += ", at " + recovery_.moment->description;
    worker::KeptWorkerOptions options{.mount = {.mountpoint = mounted_.mountpoint,
                                                .allow_other = request_.allow_other || owner_.uid != ::geteuid(),
                                                .read_only = stack_.read_only},
                                      .log_file = log_file_,
                                      .log_style = request_.log_style,
                                      .show_status = true,
                                      .control_socket = mounted_.control_socket,
                                      .source = request_.source_path,
                                      .start_timeout = request_.timeout,
                                      .end_with_caller = request_.end_with_caller,
                                      .after_end = AfterEnd()};
    if (request_.unsafe_syncs) options.flush_interval = kNever;
    worker::ServedVolume served = worker::Serve(volume);
    if (passing_wal_) served.grafts.push_back({.name = kPgWal, .file_system = passing_wal_.get(), .listed = true});
    auto worker = worker::StartKeptWorker(served, options);
    if (!worker) {
      TakeBackPublished();
      return Fail(std::move(worker).error());
    }
    if (was_dirty_ && !request_.unsafe_syncs) PGS_TRY(ClearDirtyMark(mounted_.directory));
    mounted_.worker = *std::move(worker);
    return std::move(mounted_);
  }

  const MountRequest& request_;
  ClusterFacts facts_;
  RecoveryPlan recovery_;
  io::UserIdentity owner_;
  DiffDirectory diff_;
  DiffRecord record_;
  DiffRecord before_;       // of a directory that goes on
  bool was_dirty_ = false;  // likewise
  layer::StackOptions stack_;
  std::string log_file_;
  std::unique_ptr<layer::Volume> volume_;
  std::unique_ptr<layer::Volume> passing_wal_;  // with no_wal; stands on volume_
  MountedBackup mounted_;
};

// Whether `directory` is what a read-only mount has in place of a diff directory.
bool IsReadOnlyMount(const std::string& directory) {
  const auto [above, name] = SplitLast(directory);
  return name.starts_with(kReadOnlyPrefix) && above.ends_with("/mounts");
}

}  // namespace

Result<MountedBackup> MountBackup(const MountRequest& request) {
  Mounting mounting(request);
  auto mounted = mounting.Run();
  if (!mounted) static_cast<void>(mounting.Abandon());
  return mounted;
}

Result<std::vector<fuse::MountEntry>> FindDeadMounts() {
  std::vector<fuse::MountEntry> dead;
  PGS_ASSIGN(auto mounts, fuse::ListMounts());
  for (auto& mount : mounts) {
    if (!mount.source.starts_with('/')) continue;
    if (!IsReadOnlyMount(mount.source) && !ReadDiffRecord(mount.source)) continue;
    const auto client = worker::ControlClient::ConnectIfAlive(JoinPath(mount.source, kControlSocket));
    if (client && !*client) dead.push_back(std::move(mount));
  }
  return dead;
}

Status RemoveDeadMount(const fuse::MountEntry& mount) {
  PGS_TRY(fuse::Unmount(mount.mountpoint, {.lazy = false, .abort_first = true}));
  TidyAfterDeadWorker(mount.source);
  return {};
}

void TidyAfterDeadWorker(const std::string& directory) {
  // The name comes from a mount, which anybody may have made.
  const auto status = io::StatLink(directory);
  if (!status || !S_ISDIR(status->st_mode) || status->st_uid != ::geteuid()) return;
  const std::string socket = JoinPath(directory, kControlSocket);
  if (IsReadOnlyMount(directory)) {
    for (const std::string& file : {socket, JoinPath(directory, kWorkerLog)}) static_cast<void>(io::RemoveTree(file));
    static_cast<void>(::rmdir(directory.c_str()));
    return;
  }
  if (!io::Exists(JoinPath(directory, "pgstrata.json"))) return;
  const auto lock = io::FileLock::TryAcquire(JoinPath(directory, "lock"));
  if (!lock) return;
  if (io::Exists(socket)) static_cast<void>(io::RemoveFile(socket));
  static_cast<void>(io::RemoveTree(JoinPath(directory, kPassingWal)));
}

}  // namespace pgstrata::branch
