// Merged layers that wait to take the place of those that they were made of: the file `merged` of a branch
// (docs/format/catalogue.md). It is changed with the branch's directory locked (flock), for a moment, by whoever merges
// and whoever starts the branch.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "branch/branch/branch_directory.h"
#include "branch/branch/catalogue.h"
#include "foundation/base/error.h"

namespace pgstrata::branch {

struct PendingMerge {
  std::string layer;                  // its id
  std::vector<std::string> replaces;  // the lowest first
  bool operator==(const PendingMerge&) const = default;
};

// In the order in which they are made use of. None where there is no such file.
Result<std::vector<PendingMerge>> ReadPendingMerges(const BranchDirectory& directory);
// Adds one at the end, durably. kNotFound where there is no such branch any more.
Status AddPendingMerge(const BranchDirectory& directory, const PendingMerge& merge);
// Calls `use` with what there is, if there is something, and removes the file when that succeeded: who reads the file
// and then the catalogue misses no layer.
Status UsePendingMerges(const BranchDirectory& directory,
                        const std::function<Status(const std::vector<PendingMerge>& merges)>& use);

// Puts the layer in the place of those that it replaces. False, and nothing is changed, where the branch does not stand
// on them any more, one directly on the other and all or none of them since it was made.
bool ApplyMerge(const PendingMerge& merge, BranchRecord& record);

}  // namespace pgstrata::branch
