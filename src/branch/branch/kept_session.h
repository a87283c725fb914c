// `open --keep`: a session on a branch that stays, stopped, when the session ends.
//
// It is a branch as any other, from before its server starts: made by branch_create.h, started and stopped by
// start_stop.h. The session holds its lock, so that nobody stops or drops it meanwhile; whoever knows its name can
// connect. A session whose process is killed leaves the branch running.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "branch/branch/branch_create.h"
#include "branch/branch/locked_branch.h"
#include "branch/branch/step_times.h"
#include "foundation/base/error.h"
#include "foundation/io/process.h"
#include "postgres/instance/installation.h"

namespace pgstrata::branch {

class KeptSession {
 public:
  // Makes the branch and starts it. Where that fails or is cancelled there is no branch. The errors of
  // CreateFromSource and StartBranch.
  static Result<std::unique_ptr<KeptSession>> Open(const std::string& home, const BranchOptions& options,
                                                   const BranchSource& source, const BranchEvents& events);
  // Closes it.
  ~KeptSession();
  KeptSession(const KeptSession&) = delete;
  KeptSession& operator=(const KeptSession&) = delete;

  [[nodiscard]] const BranchRecord& record() const { return branch_.record; }
  [[nodiscard]] const instance::Installation& installation() const { return installation_; }
  // What makes every psql in ClientEnvironment() read the user's own psqlrc and name the branch in its prompt.
  [[nodiscard]] Status WritePsqlrc() const;
  // As Session::ClientEnvironment.
  [[nodiscard]] io::Environment ClientEnvironment() const;
  // Readable when the process that serves the branch has died.
  [[nodiscard]] int worker_pidfd() const { return worker_.pidfd(); }
  [[nodiscard]] const std::vector<StepTime>& steps() const { return steps_.times(); }
  // Bytes that the changes take on disk.
  [[nodiscard]] uint64_t LayerBytes() const;

  // Stops the branch: when it returns everything is on disk. It waits for the server's checkpoint, whatever signal
  // comes. An error where that could not be done in order: the branch is there all the same. Again: no effect.
  Status Close();

 private:
  KeptSession(LockedBranch branch, const BranchEvents& events) : branch_(std::move(branch)), events_(events) {}
  Status Start(const SourceOpener& open);
  [[nodiscard]] std::string PsqlrcPath() const { return branch_.directory.conf() + "/psqlrc"; }

  LockedBranch branch_;
  BranchEvents events_;
  instance::Installation installation_;
  io::Process worker_;
  StepTimes steps_;
  bool closed_ = false;
};

}  // namespace pgstrata::branch
