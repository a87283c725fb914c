#include "branch/branch/kept_session.h"

#include <utility>

#include "branch/branch/branch_edit.h"
#include "branch/branch/cluster_plan.h"
#include "branch/branch/psql.h"
#include "branch/branch/start_stop.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"

namespace pgstrata::branch {

Result<std::unique_ptr<KeptSession>> KeptSession::Open(const std::string& home, const BranchOptions& options,
                                                       const BranchSource& source, const BranchEvents& events) {
  StepTimes steps;
  PGS_ASSIGN(const auto made, CreateFromSource(home, options, source, events));
  PGS_ASSIGN(auto branch, LockBranch(home, made.name, "open --keep " + made.name));
  std::unique_ptr<KeptSession> session(new KeptSession(std::move(branch), events));
  steps.Mark("create");
  session->steps_ = std::move(steps);
  if (auto started = session->Start(AlwaysOpen(source.image)); !started) {
    session->closed_ = true;
    if (const auto dropped = DropBranch(session->branch_); !dropped) events.warning(dropped.error().message());
    return std::unexpected(std::move(started).error());
  }
  return session;
}

KeptSession::~KeptSession() {
  if (const auto status = Close(); !status) events_.warning(status.error().message());
}

Status KeptSession::Start(const SourceOpener& open) {
  PGS_ASSIGN(installation_, FindServerPrograms(branch_.record.major_version, branch_.record.pg_bin));
  PGS_TRY(StartBranch(branch_, open, events_));
  PGS_ASSIGN(const Liveness alive, LookAt(branch_.directory));
  if (!alive.worker) {
    return Fail(ErrorCode::kIo, "the mount of branch " + Quoted(branch_.record.name) + " ended at once");
  }
  PGS_ASSIGN(worker_, io::Process::Adopt(*alive.worker));
  steps_.Mark("start");
  return {};
}

Status KeptSession::WritePsqlrc() const {
  constexpr mode_t kReadableByAll = 0644;
  return io::WriteWholeFile(PsqlrcPath(), PsqlrcText(branch_.record.name), kReadableByAll);
}

io::Environment KeptSession::ClientEnvironment() const {
  io::Environment environment =
      branch::ClientEnvironment(branch_.directory.socket_directory(), LoginOf(branch_.record));
  environment["PSQLRC"] = PsqlrcPath();
  return environment;
}

uint64_t KeptSession::LayerBytes() const {
  return io::AllocatedBytes(LayerDirectory(branch_.home, branch_.record.layers.back().id)).value_or(0);
}

Status KeptSession::Close() {
  if (std::exchange(closed_, true)) return {};
  BranchEvents to_the_end = events_;
  to_the_end.cancel_fd = -1;
  PGS_TRY(StopBranch(branch_, to_the_end));
  steps_.Mark("stop");
  return {};
}

}  // namespace pgstrata::branch
