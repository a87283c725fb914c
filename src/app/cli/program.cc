#include <algorithm>
#include <cstdlib>
#include <ostream>
#include <variant>

#include "app/cli/command.h"
#include "app/cli/exit_status.h"
#include "app/cli/terminal_text.h"
#include "foundation/base/text.h"

namespace pgstrata::cli {
namespace {

// A message may have several lines (a server's own words) and may name files, whose names are any bytes.
void PrintLines(std::string_view heading, std::string_view text, std::ostream& err) {
  for (const auto line : SplitLines(text)) {
    err << heading << EscapeForTerminal(line) << '\n';
    heading = {};
  }
}

void PrintError(const Error& error, std::ostream& err) {
  PrintLines("pgstrata: error: ", error.message(), err);
  if (!error.hint().empty()) PrintLines("hint: ", error.hint(), err);
}

// What follows "--" of `open` and `branch psql` belongs to the client and is not parsed here.
std::vector<std::string> TakeTrailing(std::vector<std::string>& arguments) {
  const auto separator = std::ranges::find(arguments, "--");
  const bool psql = arguments.size() > 1 && arguments[0] == "branch" && arguments[1] == "psql";
  if (separator == arguments.end() || (arguments.front() != "open" && !psql)) return {};
  std::vector<std::string> trailing(separator + 1, arguments.end());
  arguments.erase(separator, arguments.end());
  return trailing;
}

// pbkfs has `--wait` as a flag; `--wait SECONDS` is what --timeout was called at first.
void TakeWaitApart(std::vector<std::string>& arguments) {
  for (size_t i = 1; i < arguments.size(); ++i) {
    const bool seconds_follow = i + 1 < arguments.size() && ParseDecimal(arguments[i + 1]);
    if (arguments[i] == "--wait" && seconds_follow) arguments[i] = "--timeout";
    if (arguments[i].starts_with("--wait=")) arguments[i].replace(0, std::string_view("--wait").size(), "--timeout");
  }
}

// As pbkfs documents it: the environment can ask for a verbose log too.
bool EnvironmentWantsDebug() {
  const char* level = std::getenv("RUST_LOG");
  return level != nullptr && (std::string_view(level).contains("debug") || std::string_view(level).contains("trace"));
}

// The same words under the names that others have for them.
std::vector<std::string> AsOurs(std::vector<std::string> arguments, std::string_view called) {
  if (arguments.empty()) return arguments;
  if (arguments.front() == "umount") arguments.front() = "unmount";
  if (arguments.front() != "mount") return arguments;
  TakeWaitApart(arguments);
  if (SplitLast(called).second == "pbkfs" && EnvironmentWantsDebug()) arguments.emplace_back("--debug");
  return arguments;
}

}  // namespace

void AddCommands(CommandLine& line, const std::vector<std::string>& trailing) {
  AddOpenCommand(line, trailing);
  AddBranchCommand(line, trailing);
  AddMountCommand(line);
  AddUnmountCommand(line);
  AddStatCommand(line);
  AddCleanupCommand(line);
  AddInfoCommand(line);
  AddSnapshotsCommand(line);
  AddVerifyCommand(line);
  AddLsCommand(line);
  AddCatCommand(line);
  AddDoctorCommand(line);
  AddDemoCommand(line);
}

int RunProgram(std::vector<std::string> arguments, Output& output, std::string_view called) {
  arguments = AsOurs(std::move(arguments), called);
  CommandLine line("Every PostgreSQL backup is a database you can open", "pgstrata " PGSTRATA_VERSION,
                   "pgstrata COMMAND --help describes a command. Exit statuses: docs/exit-status.md.");
  AddCommands(line, TakeTrailing(arguments));
  const auto parsed = line.Parse(std::move(arguments), output);
  if (const int* said = std::get_if<int>(&parsed)) return *said;
  const auto status = std::get<Action>(parsed)(output);
  if (!status) {
    PrintError(status.error(), output.err);
    return ExitStatusOf(status.error().code());
  }
  return *status;
}

}  // namespace pgstrata::cli
