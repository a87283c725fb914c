// A branch's server and the process that serves its volume: bringing them up and taking them down. The catalogue is
// told by start_stop.h.
//
// Order: server before worker before mount when taking down, the other way round when bringing up. Nothing is mounted
// while a process of an earlier server lives (server_lock.h).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "branch/branch/locked_branch.h"
#include "branch/branch/login.h"
#include "branch/branch/recovery_plan.h"
#include "foundation/base/error.h"

namespace pgstrata::branch {

// What the changes of a branch that runs may take, from now on (layer::Volume::Limit). Without a worker: no effect.
Status LimitRunning(const BranchDirectory& directory, uint64_t max_bytes);

// What of a branch lives now. Needs no lock.
struct Liveness {
  std::optional<pid_t> server;  // the postmaster
  std::optional<pid_t> worker;
  bool mounted = false;
};
Result<Liveness> LookAt(const BranchDirectory& directory);

// Mounts and starts the server, and returns the client's login when it answers and was looked over. The branch's
// max_size is in force from then on: recovery has all the room that it needs, for what was committed is written.
// Nothing of an earlier run is left (ClearAway). On an error nothing is left either, and the volume was closed in order
// unless `closed_in_order` says otherwise. `recovery`, where it is the first start: where that is to stop.
struct BroughtUp {
  Login login;
  std::string server_version;
};
Result<BroughtUp> BringUp(const LockedBranch& branch, const std::shared_ptr<const image::Image>& image,
                          const BranchEvents& events, bool& closed_in_order, const RecoveryPlan* recovery = nullptr);

// Asks the server to end with a checkpoint, and waits for it. No server is success. kCancelled when cancelled: it ends
// all the same.
Status StopServerFast(const BranchDirectory& directory, const BranchEvents& events);

enum class Users { kRespect, kCutOff };
// Ends what is left of a run: the server at once, as after a crash; then the worker in order, so that all that was
// written is durable; then a mount that nobody serves. Whether there was a worker, which closed the volume in order: a
// branch that is not stopped and has none has crashed. kBusy, naming them, where others use the mount and are
// respected.
Result<bool> ClearAway(const BranchDirectory& directory, Users users);

}  // namespace pgstrata::branch
