#include <fmt/core.h>

#include <ostream>

#include "app/cli/command.h"
#include "app/cli/exit_status.h"

namespace pgstrata::cli {
namespace {

void PrintError(const Error& error, std::ostream& err) {
  err << "pgstrata: error: " << error.message() << '\n';
  if (!error.hint().empty()) err << "hint: " << error.hint() << '\n';
}

// CLI11 wants the arguments in reverse order, without the program's name.
std::vector<std::string> Reversed(const std::vector<std::string>& arguments) {
  return {arguments.rbegin(), arguments.rend()};
}

}  // namespace

void SetExamples(CLI::App& command, const std::vector<std::string>& lines) {
  std::string footer = "Examples:";
  for (const auto& line : lines) footer += "\n  " + line;
  command.footer(footer);
}

int RunProgram(const std::vector<std::string>& arguments, Output& output) {
  CLI::App app("Every PostgreSQL backup is a database you can open", "pgstrata");
  app.set_version_flag("--version", "pgstrata " PGSTRATA_VERSION, "Print the version and exit");
  app.get_formatter()->column_width(34);
  app.require_subcommand(1);
  Action action;
  AddOpenCommand(app, action);
  AddInfoCommand(app, action);
  AddLsCommand(app, action);
  AddCatCommand(app, action);
  AddDoctorCommand(app, action);
  AddDemoCommand(app, action);
  app.footer("pgstrata COMMAND --help describes a command. Exit statuses: docs/exit-status.md.");
  try {
    app.parse(Reversed(arguments));
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
