#include <fmt/core.h>

#include <ostream>
#include <utility>

#include "app/cli/branch_command.h"
#include "app/cli/branch_source.h"
#include "app/cli/client_process.h"
#include "app/cli/exit_status.h"
#include "app/cli/open_command.h"
#include "branch/branch/home.h"
#include "branch/branch/kept_session.h"
#include "foundation/base/text.h"

namespace pgstrata::cli {
namespace {

branch::BranchOptions KeptOptions(const OpenArguments& arguments) {
  return {.name = *arguments.keep,
          .pg_bin = arguments.request.pg_bin,
          .user = arguments.request.user,
          .database = arguments.request.database,
          .role = arguments.request.role,
          .allow_network = arguments.request.allow_network,
          .run_script = {}};
}

Result<int> WorkOnBranch(const OpenArguments& arguments, const std::string& source_path, branch::KeptSession& session,
                         SignalQueue& signals, const Stopwatch& watch, Output& output) {
  PGS_TRY(session.WritePsqlrc());
  PGS_ASSIGN(const auto argv, ClientCommand(arguments, session.installation()));
  PGS_ASSIGN(auto client, ClientProcess::Start(argv, session.ClientEnvironment()));
  PGS_ASSIGN(const ClientEnd end, client.Wait(signals, session.worker_pidfd()));
  const std::string name = session.record().name;
  const std::string next = "pgstrata branch start " + name;
  const auto closed = session.Close();
  if (end.worker_died) {
    return Fail(Error(ErrorCode::kIo, "the mount of branch " + Quoted(name) + " ended while it was in use")
                    .WithHint("what was committed is there: " + next));
  }
  PGS_TRY(closed);
  if (!arguments.quiet) output.err << fmt::format("{} is stopped and kept; go on with: {}", name, next) << std::endl;
  if (!arguments.json_file.empty()) {
    PGS_TRY(WriteOpenReport(arguments.json_file, {.source = source_path,
                                                  .server_version = session.installation().version.ToString(),
                                                  .steps = session.steps(),
                                                  .total_ms = watch.milliseconds(),
                                                  .layer_bytes = session.LayerBytes(),
                                                  .branch = name}));
  }
  return end.status;
}

}  // namespace

Result<int> RunOpenKept(const OpenArguments& arguments, source::ResolvedSource resolved, SignalQueue signals,
                        const Stopwatch& watch, Output& output) {
  PGS_ASSIGN(const std::string home, branch::ResolvedHomeDirectory());
  const std::string display_name = resolved.display_name;
  PGS_ASSIGN(auto source, BranchSourceOf(std::move(resolved), arguments.source));
  source.at = arguments.request.at;
  auto opened =
      branch::KeptSession::Open(home, KeptOptions(arguments), source, EventsOf(signals, output, arguments.quiet));
  if (!opened) {
    if (const auto signal = signals.Take()) return kExitSignalBase + signal->number;
    return std::unexpected(std::move(opened).error());
  }
  branch::KeptSession& session = **opened;
  if (!arguments.quiet) {
    output.err << fmt::format("opened {} (PostgreSQL {}, {}) in {:.2f} s; changes are kept in branch {}", display_name,
                              session.installation().version.major, session.record().kind, watch.milliseconds() / 1000,
                              session.record().name)
               << std::endl;
  }
  return WorkOnBranch(arguments, source.reference.path, session, signals, watch, output);
}

}  // namespace pgstrata::cli
