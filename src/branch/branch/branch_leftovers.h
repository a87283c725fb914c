// What killed commands and workers left of kept branches, for `doctor`.
#pragma once

#include <string>
#include <vector>

#include "foundation/base/error.h"

namespace pgstrata::branch {

struct BranchLeftover {
  std::string path;         // the directory
  std::string description;  // in words
  std::string branch;       // the name of a branch that lost its worker or server; empty: a directory of no branch
};

// Directories below `home` that the catalogue does not name and nobody works on, and branches whose mount is dead or
// whose server lives without its worker. What somebody works on is passed over.
Result<std::vector<BranchLeftover>> FindBranchLeftovers(const std::string& home);
// Removes a directory with all that runs on it; of a branch only what runs and is mounted: it can be started again.
Status RepairBranch(const std::string& home, const BranchLeftover& leftover);

}  // namespace pgstrata::branch
