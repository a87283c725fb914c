#include "branch/branch/branch_create.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include "backup/image/directory_image.h"
#include "branch/branch/branch_compact.h"
#include "branch/branch/branch_run.h"
#include "branch/branch/cluster_plan.h"
#include "branch/branch/psql.h"
#include "branch/branch/safety.h"
#include "branch/branch/source_fingerprint.h"
#include "branch/branch/wal_copy.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/sync_batch.h"
#include "volume/layer/deferred_storage.h"
#include "volume/layer/layer_directory.h"
#include "volume/vfs/path_ops.h"

namespace pgstrata::branch {
namespace {

constexpr mode_t kLinkedDirectory = 0711;
// In the data directory, as long as a branch recovers to a moment.
constexpr const char* kShownWal = ".pgstrata_wal";

// A recovery that ends on another timeline only reads the WAL that it replays. Crash recovery writes on in it.
bool StreamsWal(const RecoveryPlan& recovery) { return recovery.moment && recovery.mode == RecoveryMode::kArchive; }

WalToCopy HistoriesOnly(const ClusterFacts& facts, const WalInventory& inventory) {
  return {.redo = facts.redo,
          .segment_size = facts.control.wal_segment_size,
          .segments = {},
          .histories = inventory.Histories(),
          .open = [&inventory](const std::string& name) { return inventory.Open(name); }};
}

// pg_wal leads to the branch's own on the native file system, whatever it was.
Status LinkWal(layer::Volume& volume, const std::string& target, vfs::Owner owner) {
  PGS_TRY(vfs::RemoveAt(volume, "pg_wal"));
  const auto linked = volume.MakeTrustedLink(vfs::kRootInode, "pg_wal", target, owner);
  if (!linked) return Fail(Error::FromErrno(linked.error().value, "could not link pg_wal to " + Quoted(target)));
  volume.Forget(linked->inode, 1);
  return {};
}

// Fills the topmost layer of a branch, which is empty, with what makes it a branch, and lays its WAL from `origin`. A
// branch that stands on no layer of another one is made safe, for `recovery` where that is not its cluster's own; else
// those are. Durable with `syncs`.
Status FillTop(LockedBranch& branch, const std::shared_ptr<const image::Image>& image, const io::UserIdentity& owner,
               io::SyncBatch& syncs, std::optional<RecoveryMode> recovery = std::nullopt) {
  auto& record = branch.record;
  PGS_TRY(CopyWalDirectory(branch.directory.origin(), branch.directory.wal(record.wal), owner, syncs));
  syncs.AddDirectory(branch.directory.wals());
  layer::DeferredStorage storage(syncs);
  PGS_ASSIGN(const auto volume, OpenVolume(branch.home, record, image, storage));
  const vfs::Owner owned_by{owner.uid, owner.gid};
  if (record.layers_at_creation == 0) {
    PGS_ASSIGN(const auto facts, InspectCluster(*image));
    PGS_TRY(MakeSafe(*volume, recovery.value_or(RecoveryModeOf(facts.kind)), owned_by));
  }
  PGS_TRY(ForgetServer(*volume));
  PGS_TRY(LinkWal(*volume, branch.directory.wal(record.wal), owned_by));
  PGS_TRY(volume->Close());
  record.layers.back().written = true;
  return {};
}

// The facts of a branch that does not run, read through its volume.
Result<ClusterFacts> InspectBranch(const LockedBranch& branch, std::shared_ptr<const image::Image> image) {
  PGS_ASSIGN(const auto volume, layer::Volume::Open({.image = std::move(image),
                                                     .layers = LayerDirectories(branch.home, branch.record.layers),
                                                     .owner = {},
                                                     .read_only = true}));
  return InspectCluster(branch.record.name, [&](std::string_view path) { return vfs::ReadFileAt(*volume, path); });
}

// A branch in the making: its directory goes with everything in it unless it is entered.
class Creation {
 public:
  Creation(const std::string& home, const BranchOptions& options, const BranchEvents& events)
      : options_(options), events_(events), branch_{.home = home, .directory = {home, ""}, .record = {}, .lock = {}} {}
  ~Creation() {
    if (entered_ || branch_.record.id.empty()) return;
    const auto keep_quiet = [](Status status) { static_cast<void>(status); };
    static_cast<void>(ClearAway(branch_.directory, Users::kCutOff));
    for (const auto& layer : made_layers_) keep_quiet(io::RemoveTree(LayerDirectory(branch_.home, layer)));
    if (!cluster_.empty()) keep_quiet(io::RemoveTree(cluster_));
    keep_quiet(io::RemoveTree(branch_.directory.path()));
  }
  Creation(const Creation&) = delete;
  Creation& operator=(const Creation&) = delete;

  // The name is free as far as can be told before the entry is made.
  Status CheckName() const {
    PGS_TRY(CheckBranchName(options_.name));
    PGS_ASSIGN(auto catalogue, Catalogue::OpenIfThere(branch_.home));
    if (!catalogue) return {};
    const auto found = catalogue->Find(options_.name);
    if (!found && found.error().code() == ErrorCode::kNotFound) return {};
    PGS_TRY(found);
    return Fail(Error(ErrorCode::kAlreadyExists, "there is a branch " + Quoted(options_.name) + " already")
                    .WithHint("choose another name, or drop it first"));
  }

  Status MakeDirectory(const io::UserIdentity& owner) {
    owner_ = owner;
    PGS_ASSIGN(auto made, MakeBranchDirectory(branch_.home, owner, "branch create " + options_.name));
    branch_.directory = BranchDirectory(branch_.home, made.id);
    branch_.lock = std::move(made.lock);
    auto& record = branch_.record;
    record.id = made.id;
    record.name = options_.name;
    record.created = std::time(nullptr);
    record.server_user = owner.name;
    record.pg_bin = options_.pg_bin;
    record.database = options_.database;
    record.role = options_.role;
    record.max_size = options_.max_size;
    record.ephemeral = options_.ephemeral;
    record.allow_network = options_.allow_network;
    return {};
  }

  // What it is, and the WAL that it begins with.
  Status FromCluster(const BranchSource& source, const ClusterPlan& plan) {
    auto& record = branch_.record;
    const image::Image& image = *source.image;
    record.source = source.reference;
    record.source_typed = source.typed;
    record.kind = DescribeCluster(plan.facts);
    if (plan.recovery.moment) record.kind += ", at " + plan.recovery.moment->description;
    record.major_version = plan.facts.major_version;
    record.system_identifier = plan.facts.control.system_identifier;
    PGS_ASSIGN(const auto fingerprints, TakeFingerprints(image));
    record.logical_bytes = image.ShowsItsParts() ? fingerprints.file_bytes : image.LogicalBytes().value_or(0);
    PGS_TRY(syncs_.AddFile(branch_.directory.source(), fingerprints.text));
    PGS_ASSIGN(const auto inventory, WalInventory::Take(image, source.wal_archives));
    if (StreamsWal(plan.recovery)) {
      recovery_ = &plan.recovery;
      segment_size_ = plan.facts.control.wal_segment_size;
      return CopyWal(HistoriesOnly(plan.facts, inventory), branch_.directory.origin(), owner_, syncs_);
    }
    return CopyWal(WalOfSource(plan.facts, plan.recovery, inventory), branch_.directory.origin(), owner_, syncs_);
  }

  // Stands on all layers of `parent` that hold something. Where the parent writes its topmost one still, it goes on in
  // a new one, which is entered together with the branch: whatever fails, the parent is as it was.
  Status StandOn(const BranchRecord& parent) {
    BranchRecord frozen = parent;
    if (frozen.layers.back().written) {
      frozen.layers.back().frozen = true;
      PGS_TRY(AddLayerTo(frozen));
      frozen_parent_ = frozen;
    }
    auto& record = branch_.record;
    record.layers.assign(frozen.layers.begin(), frozen.layers.end() - 1);
    record.layers_at_creation = record.layers.size();
    return {};
  }

  Status AddTop() { return AddLayerTo(branch_.record); }

  Status Fill(const std::shared_ptr<const image::Image>& image) {
    return FillTop(branch_, image, owner_, syncs_,
                   recovery_ == nullptr ? std::nullopt : std::optional(recovery_->mode));
  }

  // Recovers to the moment that was asked for, and lets the script run. What that does belongs to what the branch is:
  // reset comes back to the state after it, and no archive is needed any more.
  Status RunFirst(const std::shared_ptr<const image::Image>& image) {
    if (recovery_ == nullptr && options_.run_script.empty()) return {};
    PGS_TRY(syncs_.Run());
    bool closed_in_order = true;
    {
      PGS_ASSIGN(const auto shown, ShowWal(image));
      PGS_ASSIGN(const auto up, BringUp(branch_, shown, events_, closed_in_order, recovery_));
      if (!options_.run_script.empty()) PGS_TRY(Psql(up.login));
      PGS_TRY(StopServerFast(branch_.directory, events_));
      PGS_TRY(ClearAway(branch_.directory, Users::kRespect));
    }
    PGS_TRY(ForgetWal());
    auto& record = branch_.record;
    PGS_TRY(layer::SealLayer(LayerDirectory(branch_.home, record.layers.back().id)));
    record.layers.back().frozen = true;
    record.layers_at_creation = record.layers.size();
    PGS_ASSIGN(const auto facts, InspectBranch(branch_, image));
    PGS_ASSIGN(const auto wal, WalOfDirectory(facts, branch_.directory.wal(record.wal)));
    PGS_TRY(io::RemoveTree(branch_.directory.origin()));
    PGS_TRY(CopyWal(wal, branch_.directory.origin(), owner_, syncs_));
    return AddTop();
  }

  Status Enter() {
    syncs_.AddDirectory(branch_.directory.path());
    syncs_.AddDirectory(BranchesDirectory(branch_.home));
    syncs_.AddDirectory(branch_.home);
    PGS_TRY(syncs_.Run());
    auto saved = branch_.Save(frozen_parent_);
    entered_ = saved || branch_.IsEntered().value_or(true);  // where nobody can tell, nothing is removed
    return saved;
  }

  // A new cluster below the home, which belongs to the branch until nobody stands on it.
  Result<std::string> MakeCluster(const instance::Installation& installation) {
    const std::string clusters = ClustersDirectory(branch_.home);
    PGS_TRY(io::MakeDirectories(clusters, kLinkedDirectory));
    const std::string path = JoinPath(clusters, branch_.record.id);
    cluster_ = path;
    PGS_TRY(MakeOwnedDirectory(path, owner_));
    syncs_.AddDirectory(clusters);
    io::SpawnOptions initdb{.argv = {installation.Program("initdb"), "-D", path, "-U", "postgres", "--auth=trust",
                                     "--encoding=UTF8", "--locale=C.UTF-8", "--data-checksums"},
                            .working_directory = "/",
                            .standard_input = -1};
    if (::geteuid() == 0) initdb.user = owner_;
    PGS_ASSIGN(const auto run, io::RunAndCapture(std::move(initdb)));
    if (run.status.AsShell() == 0) return cluster_;
    return Fail(ErrorCode::kIo, "initdb failed: " + std::string(TrimWhitespace(run.standard_error)));
  }

  LockedBranch& branch() { return branch_; }
  io::SyncBatch& syncs() { return syncs_; }

 private:
  // WAL that leads to a moment is not copied: links in the branch's pg_wal lead to where the mount shows it.
  Result<std::shared_ptr<const image::Image>> ShowWal(const std::shared_ptr<const image::Image>& image) const {
    if (recovery_ == nullptr) return image;
    const std::string shown = JoinPath(branch_.directory.mountpoint(), kShownWal);
    for (const auto& name : recovery_->segments) {
      PGS_TRY(io::MakeLink(JoinPath(shown, name), JoinPath(branch_.directory.wal(branch_.record.wal), name)));
    }
    return WithReplayedWal(image, *recovery_, segment_size_, kShownWal);
  }

  // The server removes the links that are of no more use to it.
  Status ForgetWal() const {
    if (recovery_ == nullptr) return {};
    for (const auto& name : recovery_->segments) {
      const std::string path = JoinPath(branch_.directory.wal(branch_.record.wal), name);
      const auto status = io::StatLink(path);
      if (status && S_ISLNK(status->st_mode)) PGS_TRY(io::RemoveFile(path));
    }
    return {};
  }

  Status AddLayerTo(BranchRecord& record) {
    layer::DeferredStorage storage(syncs_);
    LayerRecord layer{.id = NewLayerId(record.id)};
    made_layers_.push_back(layer.id);
    PGS_TRY(layer::MakeLayer(LayerDirectory(branch_.home, layer.id), storage));
    record.layers.push_back(std::move(layer));
    return {};
  }

  Status Psql(const Login& login) {
    PGS_ASSIGN(const auto installation, FindServerPrograms(branch_.record.major_version, branch_.record.pg_bin));
    PGS_ASSIGN(auto argv, PsqlCommand(installation));
    for (const char* word : {"-X", "-q", "-v", "ON_ERROR_STOP=1", "-f"}) argv.emplace_back(word);
    argv.push_back(options_.run_script);
    PGS_ASSIGN(const auto run,
               io::RunAndCapture({.argv = std::move(argv),
                                  .environment = ClientEnvironment(branch_.directory.socket_directory(), login),
                                  .standard_input = -1}));
    if (run.status.AsShell() == 0) return {};
    return Fail(Error(ErrorCode::kInvalidArgument, Quoted(options_.run_script) + " failed, so there is no branch: " +
                                                       std::string(TrimWhitespace(run.standard_error)))
                    .WithHint("psql ended with status " + std::to_string(run.status.AsShell()) +
                              "; the first error ends the script"));
  }

  const BranchOptions& options_;
  const BranchEvents& events_;
  io::UserIdentity owner_;
  io::SyncBatch syncs_;  // nothing of the branch counts before it is entered
  LockedBranch branch_;
  std::optional<BranchRecord> frozen_parent_;  // as it is entered
  const RecoveryPlan* recovery_ = nullptr;     // to a moment
  pgdata::WalSegmentSize segment_size_;
  std::vector<std::string> made_layers_;
  std::string cluster_;
  bool entered_ = false;
};

Status Build(Creation& creation, const BranchSource& source, const ClusterPlan& plan) {
  PGS_TRY(creation.FromCluster(source, plan));
  PGS_TRY(creation.AddTop());
  PGS_TRY(creation.Fill(source.image));
  PGS_TRY(creation.RunFirst(source.image));
  return creation.Enter();
}

Status RequireStopped(const LockedBranch& parent) {
  PGS_ASSIGN(const Liveness alive, LookAt(parent.directory));
  if (parent.record.state == BranchState::kStopped && !alive.server && !alive.worker) return {};
  const bool runs = alive.server && alive.worker;
  return Fail(
      Error(ErrorCode::kBusy, fmt::format("branch {} {}", Quoted(parent.record.name),
                                          runs ? "is running" : "was not stopped: it has crashed"))
          .WithHint(fmt::format("{}pgstrata branch stop {}", runs ? "" : "start it, then: ", parent.record.name)));
}

void Inherit(const BranchRecord& parent, BranchRecord& child) {
  child.source = parent.source;
  child.source_typed = parent.name;
  child.parent = parent.id;
  child.kind = "branch " + parent.name;
  child.major_version = parent.major_version;
  child.system_identifier = parent.system_identifier;
  child.logical_bytes = parent.logical_bytes;
  child.parameters = parent.parameters;
  if (child.pg_bin.empty()) child.pg_bin = parent.pg_bin;
  if (child.database.empty()) child.database = parent.database;
  if (child.role.empty()) child.role = parent.role;
}

}  // namespace

Result<BranchRecord> CreateFromSource(const std::string& home, const BranchOptions& options, const BranchSource& source,
                                      const BranchEvents& events) {
  Creation creation(home, options, events);
  PGS_TRY(creation.CheckName());
  PGS_ASSIGN(const auto plan, PlanCluster(*source.image, source.wal_archives, options.pg_bin, options.user, source.at));
  if (plan.recovery.moment) std::ranges::for_each(plan.recovery.moment->warnings, events.warning);
  PGS_TRY(creation.MakeDirectory(plan.owner));
  PGS_TRY(Build(creation, source, plan));
  return creation.branch().record;
}

Result<BranchRecord> CreateEmpty(const std::string& home, const BranchOptions& options, int major,
                                 const BranchEvents& events) {
  Creation creation(home, options, events);
  PGS_TRY(creation.CheckName());
  PGS_ASSIGN(const auto owner, ServerUser(options.user));
  PGS_ASSIGN(const auto installation, FindServerPrograms(major, options.pg_bin));
  PGS_TRY(creation.MakeDirectory(owner));
  BranchSource source;
  source.typed = "--empty";
  PGS_ASSIGN(source.reference.path, creation.MakeCluster(installation));
  PGS_ASSIGN(source.image, image::OpenDirectory(source.reference.path));
  PGS_ASSIGN(const auto plan, PlanCluster(*source.image, source.wal_archives, options.pg_bin, options.user));
  PGS_TRY(Build(creation, source, plan));
  return creation.branch().record;
}

Result<BranchRecord> CreateFromBranch(const std::string& home, const BranchOptions& options, const std::string& parent,
                                      const SourceOpener& open, const BranchEvents& events) {
  Creation creation(home, options, events);
  PGS_TRY(creation.CheckName());
  PGS_ASSIGN(auto from, LockBranch(home, parent, "branch create " + options.name + " --from " + parent));
  PGS_TRY(RequireStopped(from));
  PGS_ASSIGN(const auto image, OpenSource(from, open));
  PGS_ASSIGN(const auto owner, OwnerOf(from.record));
  PGS_TRY(creation.MakeDirectory(owner));
  PGS_ASSIGN(const auto facts, InspectBranch(from, image));
  auto& branch = creation.branch();
  PGS_ASSIGN(const auto wal, WalOfDirectory(facts, from.directory.wal(from.record.wal)));
  PGS_TRY(CopyWal(wal, branch.directory.origin(), owner, creation.syncs()));
  PGS_ASSIGN(const auto fingerprints, ReadFingerprints(from.directory.source()));  // just compared with the source
  PGS_TRY(creation.syncs().AddFile(branch.directory.source(), fingerprints));
  Inherit(from.record, branch.record);
  PGS_TRY(creation.StandOn(from.record));
  const std::string shared = branch.record.layers.back().id;
  PGS_TRY(creation.AddTop());
  PGS_TRY(creation.Fill(image));
  PGS_TRY(creation.RunFirst(image));
  PGS_TRY(creation.Enter());
  // It is durable as it is, and works unsealed too; merging it tries again.
  if (const auto sealed = layer::SealLayer(LayerDirectory(home, shared)); !sealed) {
    events.warning(sealed.error().message());
  }
  return branch.record;
}

Status ResetBranch(LockedBranch& branch, const SourceOpener& open) {
  PGS_ASSIGN(const auto image, OpenSource(branch, open));
  PGS_ASSIGN(const auto owner, OwnerOf(branch.record));
  PGS_TRY(DiscardMerges(branch.home, branch.record.id));
  const std::string old_wal = branch.directory.wal(branch.record.wal);
  const std::string new_wal = branch.directory.wal(branch.record.wal + 1);
  PGS_TRY(io::RemoveTree(new_wal));  // of a reset that was killed
  LockedBranch fresh{.home = branch.home, .directory = branch.directory, .record = branch.record, .lock = {}};
  auto& record = fresh.record;
  record.layers.resize(record.layers_at_creation);
  io::SyncBatch syncs;
  layer::DeferredStorage storage(syncs);
  const std::string layer = NewLayerId(record.id);
  record.layers.push_back({.id = layer});
  ++record.wal;
  record.state = BranchState::kStopped;
  auto done = layer::MakeLayer(LayerDirectory(branch.home, layer), storage);
  if (done) done = FillTop(fresh, image, owner, syncs);
  if (done) done = syncs.Run();
  if (done) done = fresh.Save();
  if (!done) {
    if (fresh.IsEntered().value_or(true)) return done;  // or nobody can tell
    static_cast<void>(RemoveLayers(branch.home, {layer}));
    static_cast<void>(io::RemoveTree(new_wal));
    return done;
  }
  branch.record = record;
  return io::RemoveTree(old_wal);
}

}  // namespace pgstrata::branch
