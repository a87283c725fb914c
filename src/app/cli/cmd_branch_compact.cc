#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <memory>
#include <ostream>

#include "app/cli/branch_command.h"
#include "app/cli/branch_source.h"
#include "branch/branch/branch_compact.h"
#include "branch/branch/home.h"
#include "foundation/base/text.h"
#include "foundation/io/file.h"
#include "foundation/io/idle_priority.h"
#include "foundation/io/process.h"

namespace pgstrata::cli {
namespace {

struct CompactArguments {
  std::string name;
  bool if_deep = false;
};

std::string DescribeReport(const std::string& name, const branch::CompactReport& report) {
  if (report.layers == 0) {
    if (!report.is_in_use) return name + " has nothing to merge";
    return name + " stands on as few layers as it can";
  }
  std::string text = fmt::format("{}: {} layers of {} became {} of {}", name, report.layers,
                                 FormatBytes(report.bytes_before), report.merged, FormatBytes(report.bytes_after));
  if (report.bytes_shared != 0) {
    text += fmt::format("; {} of the old ones stay for other branches", FormatBytes(report.bytes_shared));
  }
  if (!report.is_in_use) text += "; it stands on the new from its next start on";
  return text;
}

Result<int> RunCompact(const CompactArguments& arguments, Output& output) {
  PGS_ASSIGN(const std::string home, branch::ResolvedHomeDirectory());
  const auto reach = arguments.if_deep ? branch::CompactReach::kWhereDeep : branch::CompactReach::kAll;
  return RunHeld(output, [&](const branch::BranchEvents& events) -> Status {
    if (arguments.if_deep) {
      if (const auto idle = io::BecomeIdle(); !idle) events.warning(idle.error().message());
    }
    PGS_ASSIGN(const auto report, branch::CompactBranch(home, arguments.name, reach, SourceReopener(), events));
    output.err << DescribeReport(arguments.name, report) << std::endl;
    return {};
  });
}

}  // namespace

void MergeWhereDeep(const branch::LockedBranch& branch) {
  if (!branch::IsDeep(branch.record)) return;
  const auto log = io::File::Open(branch.directory.merge_log(), O_WRONLY | O_CREAT | O_TRUNC);
  if (!log) return;
  // It outlives us, and is nobody's to wait for. What goes wrong is in its log; the next start tries again.
  static_cast<void>(
      io::Process::Spawn({.argv = {"/proc/self/exe", "branch", "compact", "--if-deep", branch.record.name},
                          .working_directory = "/",
                          .standard_input = -1,
                          .standard_output = log->fd(),
                          .standard_error = log->fd(),
                          .keep_open = std::vector<int>{},
                          .new_session = true}));
}

void AddBranchCompact(CommandGroup& group) {
  auto arguments = std::make_shared<CompactArguments>();
  Command command = group.Add("compact", "Merge the layers that a branch stands on");
  command.Required("NAME", arguments->name, "The branch");
  command.Flag("--if-deep", arguments->if_deep,
               "Only when it stands on more than 16, and then eight, with low priority");
  command.Run([arguments](Output& output) { return RunCompact(*arguments, output); });
}

}  // namespace pgstrata::cli
