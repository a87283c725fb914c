#include <fmt/core.h>
#include <unistd.h>

#include <iostream>
#include <memory>
#include <string>

#include "app/cli/command.h"
#include "app/cli/exit_status.h"
#include "branch/branch/diff_directory.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"

namespace pgstrata::cli {
namespace {

struct CleanupArguments {
  std::string directory;
  bool force = false;
};

std::string WhatIsLost(const std::string& directory) {
  const auto record = branch::ReadDiffRecord(directory);
  const std::string size = FormatBytes(io::AllocatedBytes(directory).value_or(0));
  if (!record) return fmt::format("\"{}\" ({}, unfinished)", directory, size);
  return fmt::format("\"{}\": {} of changes above \"{}\"", directory, size, record->origin.path);
}

Result<bool> Confirm(const std::string& directory, std::ostream& err) {
  if (::isatty(STDIN_FILENO) == 0 || ::isatty(STDERR_FILENO) == 0) {
    return Fail(Error(ErrorCode::kUsage, "cleanup would remove " + WhatIsLost(directory))
                    .WithHint("without a terminal to ask on it wants --force"));
  }
  err << "remove " << WhatIsLost(directory) << "? [y/N] " << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

Result<int> RunCleanup(const CleanupArguments& arguments, Output& output) {
  PGS_ASSIGN(const std::string directory, io::ResolvePath(arguments.directory));
  PGS_TRY(branch::CheckRemovable(directory));
  if (!arguments.force) {
    PGS_ASSIGN(const bool confirmed, Confirm(directory, output.err));
    if (!confirmed) return Fail(ErrorCode::kCancelled, "nothing was removed");
  }
  PGS_TRY(branch::RemoveDiffDirectory(directory));
  return kExitOk;
}

}  // namespace

void AddCleanupCommand(CommandLine& line) {
  auto arguments = std::make_shared<CleanupArguments>();
  Command command = line.Add("cleanup", "Remove a diff directory, and with it the changes of a mount");
  command.Required("DIR", arguments->directory, "What --diff-dir of mount named");
  command.Flag("-y,--yes,--force", arguments->force, "Do not ask; needed where there is no terminal to ask on");
  command.Examples({"pgstrata cleanup /var/lib/monday.diff", "pgstrata cleanup --force /var/lib/monday.diff"});
  command.Run([arguments](Output& output) { return RunCleanup(*arguments, output); });
}

}  // namespace pgstrata::cli
