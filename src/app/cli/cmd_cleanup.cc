#include <fmt/core.h>
#include <unistd.h>

#include <iostream>
#include <memory>
#include <string>

#include "app/cli/command.h"
#include "app/cli/exit_status.h"
#include "app/cli/mount_places.h"
#include "branch/branch/diff_directory.h"
#include "branch/branch/end_mount.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"

namespace pgstrata::cli {
namespace {

struct CleanupArguments {
  std::string directory;
  std::string diff_directory;
  bool yes = false;
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
    return Fail(
        Error(ErrorCode::kUsage, "cleanup would remove " + WhatIsLost(directory))
            .WithHint("without a terminal to ask on it wants --yes; --force also ends what is mounted from there"));
  }
  err << "remove " << WhatIsLost(directory) << "? [y/N] " << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

// Nothing is mounted from there any more, nor uses it.
Status EndWhatUsesIt(const std::string& directory, std::ostream& err) {
  const Status removable = branch::CheckRemovable(directory);
  if (removable || removable.error().code() != ErrorCode::kBusy) return removable;
  return branch::EndMount(directory, {.force = true, .warning = WarningTo(err)});
}

Result<int> RunCleanup(const CleanupArguments& arguments, Output& output) {
  PGS_ASSIGN(const std::string typed, OneOf(arguments.directory, "DIR", arguments.diff_directory, "-d/--diff-dir DIR"));
  PGS_ASSIGN(const std::string directory, io::ResolvePath(typed));
  if (arguments.force) PGS_TRY(EndWhatUsesIt(directory, output.err));
  PGS_TRY(branch::CheckRemovable(directory));
  // -d is how scripts name it: they are not asked.
  const bool ask = !arguments.yes && !arguments.force && arguments.diff_directory.empty();
  if (ask) {
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
  command.Optional("DIR", arguments->directory, "What --diff-dir of mount named");
  command.Option("-d,--diff-dir", "DIR", arguments->diff_directory, "The same, without being asked");
  command.Flag("-y,--yes", arguments->yes, "Do not ask; needed where there is no terminal to ask on");
  command.Flag("--force", arguments->force, "Do not ask, and end what is mounted from there, whoever uses it");
  command.Examples({"pgstrata cleanup /var/lib/monday.diff", "pgstrata cleanup --yes /var/lib/monday.diff",
                    "pgstrata cleanup -d /var/lib/main.diff"});
  command.Run([arguments](Output& output) { return RunCleanup(*arguments, output); });
}

}  // namespace pgstrata::cli
