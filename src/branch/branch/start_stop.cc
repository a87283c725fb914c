#include "branch/branch/start_stop.h"

#include <fmt/core.h>

#include "branch/branch/branch_compact.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"

namespace pgstrata::branch {
namespace {

Error CrashedEphemeral(const BranchRecord& record) {
  return Error(ErrorCode::kCorrupt, "branch " + Quoted(record.name) +
                                        " is ephemeral and has crashed: what it held cannot be trusted any more")
      .WithHint("pgstrata branch reset " + record.name + " takes it back to its creation, branch drop removes it");
}

Status SetState(LockedBranch& branch, BranchState state) {
  branch.record.state = state;
  return branch.Save();
}

// The size of what is mounted, file by file; nothing where that cannot be told.
uint64_t MeasureTree(const std::string& directory) {
  uint64_t bytes = 0;
  const auto entries = io::ListDirectoryWithStatus(directory);
  if (!entries) return 0;
  for (const auto& [name, status] : *entries) {
    if (S_ISREG(status.st_mode)) bytes += static_cast<uint64_t>(status.st_size);
    if (S_ISDIR(status.st_mode)) bytes += MeasureTree(JoinPath(directory, name));
  }
  return bytes;
}

// What is left of an earlier run ends. kCorrupt where that was the crash of an ephemeral branch.
Status ClearEarlierRun(LockedBranch& branch) {
  PGS_ASSIGN(const bool closed, ClearAway(branch.directory, Users::kRespect));
  const bool crashed = branch.record.state != BranchState::kStopped && !closed;
  if (crashed && branch.record.ephemeral) return Fail(CrashedEphemeral(branch.record));
  return {};
}

// A branch starts as well on the layers that it has.
std::vector<std::string> UseWhatWasMerged(LockedBranch& branch, const BranchEvents& events) {
  auto replaced = AdoptMerges(branch);
  if (replaced) return *std::move(replaced);
  events.warning(replaced.error().message());
  return {};
}

// Where it is full, whoever starts it wants to know that before the next write fails.
void WarnOfLimit(const LockedBranch& branch, const BranchEvents& events) {
  const auto& record = branch.record;
  if (record.max_size == 0) return;
  const uint64_t held = LimitedBytes(branch.home, record);
  if (held < record.max_size / 8 * 7) return;  // the rest is held back (layer::Volume::Limit)
  events.warning(
      fmt::format("branch {0} holds {1} of at most {2}: tables can hardly grow, or not at all; make room by removing, "
                  "or let it have "
                  "more: pgstrata branch set {0} max-size=SIZE",
                  record.name, FormatBytes(held), FormatBytes(record.max_size)));
}

}  // namespace

Result<StartResult> StartBranch(LockedBranch& branch, const SourceOpener& open, const BranchEvents& events) {
  PGS_ASSIGN(const Liveness alive, LookAt(branch.directory));
  if (branch.record.state == BranchState::kRunning && alive.server && alive.worker && alive.mounted) {
    return StartResult::kRanAlready;
  }
  PGS_TRY(ClearEarlierRun(branch));
  PGS_ASSIGN(auto image, OpenSource(branch, open));
  const std::vector<std::string> replaced = UseWhatWasMerged(branch, events);
  branch.record.layers.back().written = true;
  PGS_TRY(SetState(branch, BranchState::kStarting));
  bool closed_in_order = true;
  auto up = BringUp(branch, image, events, closed_in_order);
  if (const auto removed = RemoveLayers(branch.home, replaced); !removed) events.warning(removed.error().message());
  if (!up) {
    if (closed_in_order) PGS_TRY(SetState(branch, BranchState::kStopped));
    return std::unexpected(std::move(up).error());
  }
  branch.record.login_database = up->login.database;
  branch.record.login_role = up->login.role;
  branch.record.login_superuser = up->login.superuser;
  PGS_TRY(SetState(branch, BranchState::kRunning));
  WarnOfLimit(branch, events);
  return StartResult::kStarted;
}

Result<bool> StopBranch(LockedBranch& branch, const BranchEvents& events) {
  if (branch.record.state == BranchState::kStopped) return false;
  // What is committed is written, by this checkpoint or by the recovery that would follow without it.
  if (branch.record.max_size != 0) PGS_TRY(LimitRunning(branch.directory, 0));
  PGS_TRY(StopServerFast(branch.directory, events));
  PGS_ASSIGN(const Liveness alive, LookAt(branch.directory));
  if (alive.worker) branch.record.logical_bytes = MeasureTree(branch.directory.mountpoint());
  PGS_TRY(ClearEarlierRun(branch));
  PGS_TRY(SetState(branch, BranchState::kStopped));
  return true;
}

Result<bool> EndBranch(LockedBranch& branch) {
  PGS_ASSIGN(const Liveness alive, LookAt(branch.directory));
  PGS_TRY(ClearAway(branch.directory, Users::kCutOff));
  return alive.server.has_value();
}

}  // namespace pgstrata::branch
