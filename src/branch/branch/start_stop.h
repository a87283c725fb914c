// Starting and stopping kept branches, with what the catalogue is told of it.
#pragma once

#include <string>

#include "branch/branch/branch_run.h"
#include "branch/branch/locked_branch.h"
#include "foundation/base/error.h"

namespace pgstrata::branch {

enum class StartResult { kStarted, kRanAlready };

// What is left of an earlier run, the worker's or the server's death included, is cleared away first; what was
// committed by then is there. The errors of OpenSource; kCorrupt where an ephemeral branch crashed.
Result<StartResult> StartBranch(LockedBranch& branch, const SourceOpener& open, const BranchEvents& events);

// A checkpoint, then everything ends and is durable. A branch that does not run is success: false.
Result<bool> StopBranch(LockedBranch& branch, const BranchEvents& events);

// At once, as by a crash, whoever uses it: for what is thrown away then. Whether it had run.
Result<bool> EndBranch(LockedBranch& branch);

}  // namespace pgstrata::branch
