#include <algorithm>
#include <ostream>

#include "app/cli/command.h"
#include "app/cli/exit_status.h"

namespace pgstrata::cli {
namespace {

void PrintError(const Error& error, std::ostream& err) {
  err << "pgstrata: error: " << error.message() << '\n';
  if (!error.hint().empty()) err << "hint: " << error.hint() << '\n';
}

// Of `open`, what follows "--" belongs to the client and is not parsed here.
std::vector<std::string> TakeTrailing(std::vector<std::string>& arguments) {
  const auto separator = std::ranges::find(arguments, "--");
  if (separator == arguments.end() || arguments.front() != "open") return {};
  std::vector<std::string> trailing(separator + 1, arguments.end());
  arguments.erase(separator, arguments.end());
  return trailing;
}

}  // namespace

void SetExamples(CLI::App& command, const std::vector<std::string>& lines) {
  std::string footer = "Examples:";
  for (const auto& line : lines) footer += "\n  " + line;
  command.footer(footer);
}

int RunProgram(std::vector<std::string> arguments, Output& output) {
  CLI::App app("Every PostgreSQL backup is a database you can open", "pgstrata");
  app.set_version_flag("--version", "pgstrata " PGSTRATA_VERSION, "Print the version and exit");
  app.get_formatter()->column_width(34);
  app.require_subcommand(1);
  Action action;
  AddOpenCommand(app, action, TakeTrailing(arguments));
  AddInfoCommand(app, action);
  AddLsCommand(app, action);
  AddCatCommand(app, action);
  AddDoctorCommand(app, action);
  AddDemoCommand(app, action);
  app.footer("pgstrata COMMAND --help describes a command. Exit statuses: docs/exit-status.md.");
  try {
    std::ranges::reverse(arguments);  // as CLI11 wants them
    app.parse(arguments);
  } catch (const CLI::ParseError& problem) {
    return app.exit(problem, output.out, output.err) == 0 ? 0 : kExitUsage;
  }
  const auto status = action(output);
  if (!status) {
    PrintError(status.error(), output.err);
    return ExitStatusOf(status.error().code());
  }
  return *status;
}

}  // namespace pgstrata::cli
