// Merging the layers that a branch stands on.
//
// Copying goes on beside everything else: it holds a lock of its own, so that the branch is started, used and stopped
// meanwhile, and only reads layers that never change. A merged layer waits (pending_merges.h) until nobody serves the
// branch; it then takes its place in the catalogue in one transaction, which takes milliseconds. A process that is
// killed leaves the layers as they were, and perhaps a directory that no entry names and `doctor` removes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "branch/branch/locked_branch.h"
#include "foundation/base/error.h"

namespace pgstrata::branch {

// Above so many frozen layers a branch is deep.
constexpr size_t kDeepStack = 16;
bool IsDeep(const BranchRecord& record);

enum class CompactReach {
  kAll,        // all frozen layers; those that a reset comes back to, and those above, stay apart
  kWhereDeep,  // in a deep branch the adjacent layers that hold least; else nothing
};

struct CompactReport {
  size_t layers = 0;          // that were merged
  size_t merged = 0;          // into so many
  uint64_t bytes_before = 0;  // on disk, of these layers
  uint64_t bytes_after = 0;   // of the merged ones; files that are shared count here too
  uint64_t bytes_shared = 0;  // of `bytes_before`, what stays because other branches stand on it
  bool is_in_use = false;     // the branch stands on the merged ones; else it does from its next start on
};

// kBusy where its layers are being merged already. kCancelled when cancelled; nothing is left then.
Result<CompactReport> CompactBranch(const std::string& home, const std::string& name, CompactReach reach,
                                    const SourceOpener& open, const BranchEvents& events);

// What was merged takes the place of what it was made of. The branch is locked and nobody serves it. Returns the layers
// that nobody stands on any more, for RemoveLayers.
Result<std::vector<std::string>> AdoptMerges(LockedBranch& branch);

// Ends a merge that is on its way, and removes what was merged and is not in use, of a branch that is locked, or that
// the catalogue does not name any more.
Status DiscardMerges(const std::string& home, const std::string& id);

}  // namespace pgstrata::branch
