// What changes a kept branch without starting it, and what is told of branches.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "branch/branch/branch_create.h"
#include "branch/branch/branch_run.h"
#include "branch/branch/locked_branch.h"
#include "foundation/base/error.h"

namespace pgstrata::branch {

// kAlreadyExists where the new name is taken. Also while it runs.
Status RenameBranch(LockedBranch& branch, const std::string& new_name);

// Ends it, takes it out of the catalogue, so that the name is free, and then removes what only it needed: branches that
// were made from it keep what they share.
Status DropBranch(LockedBranch& branch);

struct BranchChanges {
  std::vector<std::pair<std::string, std::string>> set;  // parameters of its server, and their values
  std::vector<std::string> unset;                        // names
  std::optional<uint64_t> max_size;                      // bytes; 0: no limit
};
// All of them or none. Parameters are in force from the next start on, max_size at once. kUsage for parameters that
// keep a branch safe (IsGuarded).
Status ChangeBranch(LockedBranch& branch, const BranchChanges& changes);

// The source lies at another place now: `source`, of which no WAL is needed. kInvalidArgument where that is not the
// same backup: another system, pg_control, backup_label, or other files. kBusy while it runs.
Status RelocateBranch(LockedBranch& branch, const BranchSource& source);

struct BranchInfo {
  BranchRecord record;
  Liveness alive;
  std::string state;  // "running", "stopped", "starting", "crashed"
  std::string socket_directory;
  std::string parent;          // the name of the branch it was made from, as it is now; empty where that is gone
  uint64_t limited_bytes = 0;  // on disk, of what max_size bounds: its own layers
  uint64_t own_bytes = 0;      // on disk, of its own: gone with it
  uint64_t shared_bytes = 0;   // on disk, of layers that other branches stand on too
};
// Of all branches, by name. Takes no lock, and touches no mount.
Result<std::vector<BranchInfo>> ListBranches(const std::string& home);
// kNotFound.
Result<BranchInfo> DescribeBranch(const std::string& home, const std::string& name);

}  // namespace pgstrata::branch
