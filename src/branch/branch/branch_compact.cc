#include "branch/branch/branch_compact.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <numeric>
#include <span>
#include <utility>

#include "branch/branch/branch_run.h"
#include "branch/branch/pending_merges.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/lock.h"
#include "volume/layer/layer_directory.h"
#include "volume/layer/layer_file.h"
#include "volume/layer/layer_merge.h"

namespace pgstrata::branch {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

// So many layers of a deep branch are merged at a time: often enough to bound the depth, and seldom enough that a block
// is not copied each time that somebody branches.
constexpr size_t kMergedAtOnce = 8;
constexpr auto kProgressEvery = 2s;
constexpr auto kGraceOfMerge = 5s;

uint64_t BytesOnDisk(const std::string& home, const std::vector<std::string>& layers) {
  return std::accumulate(layers.begin(), layers.end(), uint64_t{0}, [&](uint64_t sum, const std::string& layer) {
    return sum + io::AllocatedBytes(LayerDirectory(home, layer)).value_or(0);
  });
}

std::vector<std::string> IdsOf(std::span<const LayerRecord> layers) {
  std::vector<std::string> ids;
  ids.reserve(layers.size());
  for (const auto& layer : layers) ids.push_back(layer.id);
  return ids;
}

// The layers that a reset comes back to, and the frozen ones above them: a merge stays within one of the two.
std::vector<std::span<const LayerRecord>> PartsOf(const BranchRecord& record) {
  const std::span<const LayerRecord> frozen(record.layers.data(), record.layers.size() - 1);
  return {frozen.first(record.layers_at_creation), frozen.subspan(record.layers_at_creation)};
}

// What is to be merged, each the ids of adjacent layers.
std::vector<std::vector<std::string>> PlanRuns(const std::string& home, const BranchRecord& record,
                                               CompactReach reach) {
  std::vector<std::vector<std::string>> runs;
  if (reach == CompactReach::kAll) {
    for (const auto part : PartsOf(record)) {
      if (part.size() > 1) runs.push_back(IdsOf(part));
    }
    return runs;
  }
  if (!IsDeep(record)) return runs;
  uint64_t least = UINT64_MAX;
  for (const auto part : PartsOf(record)) {
    for (size_t first = 0; first + kMergedAtOnce <= part.size(); ++first) {
      auto run = IdsOf(part.subspan(first, kMergedAtOnce));
      const uint64_t bytes = BytesOnDisk(home, run);
      if (bytes >= least) continue;
      least = bytes;
      runs.clear();
      runs.push_back(std::move(run));
    }
  }
  // A server may be filling the same disk.
  const auto space = io::DiskSpaceAt(LayersDirectory(home));
  if (space && space->available_bytes / 2 < least) runs.clear();
  return runs;
}

// Not to be thrown away: sealed, so that everything in it is durable.
bool IsWhole(const std::string& home, const std::string& layer) {
  const auto facts = layer::ReadLayerFacts(LayerDirectory(home, layer));
  return facts && facts->sealed;
}

class Compaction {
 public:
  Compaction(std::string home, const SourceOpener& open, const BranchEvents& events)
      : home_(std::move(home)), open_(open), events_(events) {}

  Result<CompactReport> Run(const std::string& name, CompactReach reach) {
    PGS_TRY(Find(name));
    const std::string words = "branch compact " + name;
    const BranchDirectory directory(home_, record_.id);
    PGS_ASSIGN(const auto merging, BranchLock::TryAcquireForMerging(directory, name, words));
    PGS_TRY(FindAgain());
    // What waits counts as done.
    PGS_ASSIGN(const auto pending, ReadPendingMerges(directory));
    for (const auto& merge : pending) ApplyMerge(merge, record_);
    for (auto& run : PlanRuns(home_, record_, reach)) PGS_TRY(Merge(directory, std::move(run)));
    if (reach == CompactReach::kAll) PGS_TRY(MakeUse(words));
    return report_;
  }

 private:
  Status Find(const std::string& name) {
    PGS_ASSIGN(auto catalogue, Catalogue::OpenIfThere(home_));
    if (!catalogue) return Fail(ErrorCode::kNotFound, "there is no branch " + Quoted(name));
    PGS_ASSIGN(record_, catalogue->Find(name));
    return {};
  }
  Status FindAgain() {
    PGS_ASSIGN(auto catalogue, Catalogue::Open(home_));
    PGS_ASSIGN(auto now, catalogue.FindById(record_.id));
    if (!now) return Fail(ErrorCode::kNotFound, "branch " + Quoted(record_.name) + " was dropped");
    record_ = *std::move(now);
    return {};
  }

  Status Merge(const BranchDirectory& directory, std::vector<std::string> run) {
    for (const auto& layer : run) PGS_TRY(layer::SealLayer(LayerDirectory(home_, layer)));
    const PendingMerge merge{.layer = NewLayerId(record_.id), .replaces = std::move(run)};
    const std::string merged = LayerDirectory(home_, merge.layer);
    auto done = MergeInto(merged, merge.replaces);
    if (done) done = AddPendingMerge(directory, merge);
    if (!done) {
      static_cast<void>(io::RemoveTree(merged));
      return done;
    }
    report_.layers += merge.replaces.size();
    report_.merged += 1;
    report_.bytes_before += BytesOnDisk(home_, merge.replaces);
    report_.bytes_after += BytesOnDisk(home_, {merge.layer});
    replaced_.insert(replaced_.end(), merge.replaces.begin(), merge.replaces.end());
    ApplyMerge(merge, record_);
    return {};
  }

  Status MergeInto(const std::string& merged, const std::vector<std::string>& run) {
    const auto first = std::ranges::find(record_.layers, run.front(), &LayerRecord::id);
    const auto below = static_cast<size_t>(first - record_.layers.begin());
    layer::MergeOptions options{.below = LayerDirectories(home_, std::span(record_.layers).first(below)),
                                .run = LayerDirectories(home_, std::span(record_.layers).subspan(below, run.size())),
                                .directory = merged,
                                .image = nullptr,
                                .progress = [this](uint64_t done, uint64_t all) { return Tell(done, all); }};
    // Without its source a branch does not start; its layers can be merged all the same.
    const LockedBranch unlocked{.home = home_, .directory = {home_, record_.id}, .record = record_, .lock = {}};
    if (auto image = OpenSource(unlocked, open_)) options.image = *std::move(image);
    PGS_TRY(layer::MergeLayers(options));
    return {};
  }

  Status Tell(uint64_t done, uint64_t all) {
    if (events_.IsCancelled()) {
      return Fail(ErrorCode::kCancelled, "the layers of branch " + Quoted(record_.name) + " stay as they are");
    }
    if (steady_clock::now() < next_progress_) return {};
    next_progress_ = steady_clock::now() + kProgressEvery;
    events_.progress(fmt::format("merging layers: {} of {} copied", FormatBytes(done), FormatBytes(all)));
    return {};
  }

  // Where somebody works on the branch or serves it, its next start does this.
  Status MakeUse(const std::string& words) {
    PGS_TRY(FindAgain());  // it may have another name by now
    std::vector<std::string> orphans;
    const auto adopted = Adopt(words, orphans);
    if (!adopted && adopted.error().code() == ErrorCode::kBusy) return {};
    PGS_TRY(adopted);
    report_.is_in_use = true;
    PGS_TRY(RemoveLayers(home_, orphans));  // with the branch free again, and nobody taking them for leftovers
    report_.bytes_shared = BytesOnDisk(home_, replaced_);
    return {};
  }
  Status Adopt(const std::string& words, std::vector<std::string>& orphans) {
    PGS_ASSIGN(auto branch, LockBranch(home_, record_.name, words));
    PGS_ASSIGN(const Liveness alive, LookAt(branch.directory));
    if (branch.record.state != BranchState::kStopped || alive.server || alive.worker) {
      return Fail(ErrorCode::kBusy, "branch " + Quoted(record_.name) + " is running");
    }
    const std::string topmost = LayerDirectory(home_, branch.record.layers.back().id);
    PGS_ASSIGN(const auto nobody_serves, io::FileLock::TryAcquire(layer::LockPath(topmost)));
    PGS_ASSIGN(orphans, AdoptMerges(branch));
    return {};
  }

  const std::string home_;
  const SourceOpener& open_;
  const BranchEvents& events_;
  BranchRecord record_;
  std::vector<std::string> replaced_;
  CompactReport report_;
  steady_clock::time_point next_progress_ = steady_clock::now() + kProgressEvery;
};

// Who merges the layers of a branch ends, and nobody begins to.
Result<BranchLock> EndMerge(const BranchDirectory& directory, const std::string& id) {
  while (true) {
    auto merging = BranchLock::TryAcquireForMerging(directory, id, "removing what was merged");
    if (merging || merging.error().code() != ErrorCode::kBusy) return merging;
    PGS_ASSIGN(const auto merger, BranchLock::Merger(directory));
    if (!merger) continue;
    auto adopted = io::Process::Adopt(*merger);
    PGS_ASSIGN(const auto still, BranchLock::Merger(directory));
    if (still != merger) continue;  // it ended, and its number may be another's
    if (!adopted) return std::unexpected(std::move(adopted).error());
    PGS_TRY(adopted->End(SIGTERM, kGraceOfMerge));
  }
}

}  // namespace

bool IsDeep(const BranchRecord& record) { return record.layers.size() > kDeepStack + 1; }

Result<CompactReport> CompactBranch(const std::string& home, const std::string& name, CompactReach reach,
                                    const SourceOpener& open, const BranchEvents& events) {
  return Compaction(home, open, events).Run(name, reach);
}

Result<std::vector<std::string>> AdoptMerges(LockedBranch& branch) {
  std::vector<std::string> orphans;
  PGS_TRY(UsePendingMerges(branch.directory, [&](const std::vector<PendingMerge>& merges) -> Status {
    BranchRecord record = branch.record;
    for (const auto& merge : merges) {
      if (IsWhole(branch.home, merge.layer)) ApplyMerge(merge, record);
    }
    PGS_ASSIGN(auto catalogue, Catalogue::Open(branch.home));
    PGS_ASSIGN(orphans, catalogue.Change({record}));
    branch.record = std::move(record);
    PGS_ASSIGN(const auto uses, catalogue.LayerUses());
    // What was merged in vain, or merged further.
    for (const auto& merge : merges) {
      if (!uses.contains(merge.layer)) orphans.push_back(merge.layer);
    }
    return {};
  }));
  return orphans;
}

Status DiscardMerges(const std::string& home, const std::string& id) {
  const BranchDirectory directory(home, id);
  PGS_ASSIGN(const auto merging, EndMerge(directory, id));
  PGS_TRY(UsePendingMerges(directory, [](const auto&) { return Status{}; }));
  PGS_ASSIGN(auto catalogue, Catalogue::Open(home));
  PGS_ASSIGN(const auto uses, catalogue.LayerUses());
  PGS_ASSIGN(auto layers, io::ListDirectory(LayersDirectory(home)));
  std::erase_if(layers, [&](const auto& layer) { return BranchOfLayer(layer) != id || uses.contains(layer); });
  return RemoveLayers(home, layers);
}

}  // namespace pgstrata::branch
