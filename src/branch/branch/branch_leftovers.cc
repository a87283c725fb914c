#include "branch/branch/branch_leftovers.h"

#include <fmt/core.h>

#include <map>
#include <set>

#include "branch/branch/branch_run.h"
#include "branch/branch/catalogue.h"
#include "branch/branch/pending_merges.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/lock.h"

namespace pgstrata::branch {
namespace {

Result<std::vector<std::string>> NamesIn(const std::string& directory) {
  if (!io::Exists(directory)) return std::vector<std::string>{};
  return io::ListDirectory(directory);
}

std::string InWords(const Liveness& alive) {
  std::string text;
  if (alive.server) text += fmt::format(", server {} still runs", *alive.server);
  if (alive.mounted) text += ", still mounted";
  return text;
}

// What the catalogue names. Read after the locks were looked at: what was being made then is entered by now.
struct Known {
  std::set<std::string, std::less<>> branches;
  std::set<std::string, std::less<>> layers;
  std::set<std::string, std::less<>> sources;
};

Result<std::vector<BranchRecord>> Records(const std::string& home) {
  PGS_ASSIGN(auto catalogue, Catalogue::OpenIfThere(home));
  if (!catalogue) return std::vector<BranchRecord>{};
  return catalogue->List();
}

// By branch: merged layers that wait to be used.
using PendingByBranch = std::map<std::string, std::vector<PendingMerge>>;

Known KnownOf(const std::vector<BranchRecord>& records, const PendingByBranch& pending) {
  Known known;
  for (BranchRecord record : records) {
    known.branches.insert(record.id);
    known.sources.insert(record.source.path);
    for (const auto& layer : record.layers) known.layers.insert(layer.id);
    const auto merges = pending.find(record.id);
    if (merges == pending.end()) continue;
    for (const auto& merge : merges->second) {
      if (ApplyMerge(merge, record)) known.layers.insert(merge.layer);
    }
  }
  return known;
}

class Search {
 public:
  explicit Search(const std::string& home) : home_(home) {}

  Result<std::vector<BranchLeftover>> Run() {
    if (!io::Exists(BranchesDirectory(home_))) return std::vector<BranchLeftover>{};
    PGS_ASSIGN(const auto branches, NamesIn(BranchesDirectory(home_)));
    PGS_ASSIGN(const auto layers, NamesIn(LayersDirectory(home_)));
    PGS_ASSIGN(const auto clusters, NamesIn(ClustersDirectory(home_)));
    // A directory is locked as soon as it is there for others.
    PGS_ASSIGN(const auto making, io::FileLock::AcquireOnDirectory(BranchesDirectory(home_)));
    PGS_ASSIGN(const auto all, NamesIn(BranchesDirectory(home_)));
    PendingByBranch pending;
    for (const auto& name : all) {
      PGS_ASSIGN(const bool held, BranchLock::IsHeld({home_, name}));
      if (held) busy_.insert(name);
      PGS_ASSIGN(const auto merger, BranchLock::Merger({home_, name}));
      if (merger) merging_.insert(name);
      // Before the catalogue: what is taken into use meanwhile stands there by then.
      if (auto merges = ReadPendingMerges({home_, name})) pending[name] = *std::move(merges);
    }
    PGS_ASSIGN(const auto records, Records(home_));
    const Known known = KnownOf(records, pending);
    for (const auto& id : branches) {
      if (known.branches.contains(id) || busy_.contains(id) || !io::Exists(BranchDirectory(home_, id).path())) continue;
      PGS_ASSIGN(const Liveness alive, LookAt({home_, id}));
      Add(BranchDirectory(home_, id).path(), "a branch that was not finished or not wholly dropped" + InWords(alive));
    }
    for (const auto& id : layers) {
      const std::string path = LayerDirectory(home_, id);
      const auto branch = BranchOfLayer(id);
      if (known.layers.contains(id) || busy_.contains(branch) || merging_.contains(branch) || !io::Exists(path))
        continue;
      Add(path, "a layer of no branch");
    }
    for (const auto& id : clusters) {
      const std::string path = JoinPath(ClustersDirectory(home_), id);
      if (known.sources.contains(path) || busy_.contains(id) || !io::Exists(path)) continue;
      Add(path, "a cluster of no branch");
    }
    for (const auto& record : records) PGS_TRY(LookAtBranch(record));
    return std::move(found_);
  }

 private:
  void Add(std::string path, std::string description) {
    found_.push_back({.path = std::move(path), .description = std::move(description), .branch = {}});
  }

  Status LookAtBranch(const BranchRecord& record) {
    if (busy_.contains(record.id)) return {};
    const BranchDirectory directory(home_, record.id);
    PGS_ASSIGN(const Liveness alive, LookAt(directory));
    const bool lost = !alive.worker && (alive.server || alive.mounted);
    if (!lost) return {};
    found_.push_back(
        {.path = directory.path(),
         .description = "branch " + Quoted(record.name) + " lost the process that served it" + InWords(alive),
         .branch = record.name});
    return {};
  }

  const std::string& home_;
  std::set<std::string, std::less<>> busy_;     // somebody works on these branches
  std::set<std::string, std::less<>> merging_;  // or merges their layers
  std::vector<BranchLeftover> found_;
};

}  // namespace

Result<std::vector<BranchLeftover>> FindBranchLeftovers(const std::string& home) { return Search(home).Run(); }

Status RepairBranch(const std::string& home, const BranchLeftover& leftover) {
  if (!leftover.branch.empty()) {
    PGS_ASSIGN(const auto branch, LockBranch(home, leftover.branch, "doctor --repair"));
    PGS_TRY(ClearAway(branch.directory, Users::kRespect));
    return {};
  }
  const auto [parent, name] = SplitLast(leftover.path);
  if (parent == BranchesDirectory(home)) PGS_TRY(ClearAway({home, name}, Users::kCutOff));
  if (parent == LayersDirectory(home)) {
    PGS_ASSIGN(auto catalogue, Catalogue::Open(home));
    PGS_ASSIGN(const auto uses, catalogue.LayerUses());
    if (uses.contains(std::string(name))) return {};  // somebody stands on it by now
  }
  return io::RemoveTree(leftover.path);
}

}  // namespace pgstrata::branch
