#include <fmt/core.h>

#include <memory>
#include <ostream>

#include "app/cli/branch_command.h"
#include "app/cli/branch_source.h"
#include "branch/branch/home.h"
#include "branch/branch/start_stop.h"
#include "foundation/base/clock.h"

namespace pgstrata::cli {
namespace {

enum class Wanted { kStart, kStop, kRestart };

Status Start(branch::LockedBranch& branch, const branch::BranchEvents& events, const Stopwatch& watch, Output& output) {
  PGS_ASSIGN(const auto result, branch::StartBranch(branch, SourceReopener(), events));
  if (result == branch::StartResult::kRanAlready) {
    output.err << fmt::format("{} runs already", branch.record.name) << std::endl;
    return {};
  }
  TellHowToConnect(branch.record, watch, output);
  MergeWhereDeep(branch);
  return {};
}

Result<int> RunCommand(Wanted wanted, const std::string& name, Output& output) {
  const Stopwatch watch;
  PGS_ASSIGN(const std::string home, branch::ResolvedHomeDirectory());
  return RunHeld(output, [&](const branch::BranchEvents& events) -> Status {
    constexpr std::array<std::string_view, 3> kWords = {"start", "stop", "restart"};
    const auto words = fmt::format("branch {} {}", kWords[static_cast<size_t>(wanted)], name);
    PGS_ASSIGN(auto branch, branch::LockBranch(home, name, words));
    if (wanted != Wanted::kStart) {
      PGS_ASSIGN(const bool stopped, branch::StopBranch(branch, events));
      output.err << fmt::format("{} {}", name, stopped ? "is stopped" : "does not run") << std::endl;
    }
    if (wanted == Wanted::kStop) return {};
    return Start(branch, events, watch, output);
  });
}

void Add(CommandGroup& group, Wanted wanted, const std::string& name, const std::string& description) {
  auto branch = std::make_shared<std::string>();
  Command command = group.Add(name, description);
  command.Required("NAME", *branch, "The branch");
  command.Run([branch, wanted](Output& output) { return RunCommand(wanted, *branch, output); });
}

}  // namespace

void TellHowToConnect(const branch::BranchRecord& record, const Stopwatch& watch, Output& output) {
  output.err << fmt::format(
                    "{0} runs (PostgreSQL {1}), started in {2:.2f} s; pgstrata branch psql {0}, or "
                    "eval \"$(pgstrata branch env {0})\"",
                    record.name, record.major_version, watch.milliseconds() / 1000)
             << std::endl;
}

void AddBranchRunCommands(CommandGroup& group) {
  Add(group, Wanted::kStart, "start", "Mount a branch and start its server");
  Add(group, Wanted::kStop, "stop", "Stop a branch's server and unmount it");
  Add(group, Wanted::kRestart, "restart", "Stop a branch and start it again");
}

}  // namespace pgstrata::cli
