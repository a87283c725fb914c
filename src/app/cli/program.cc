#include <algorithm>
#include <ostream>
#include <variant>

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

int RunProgram(std::vector<std::string> arguments, Output& output) {
  CommandLine line("Every PostgreSQL backup is a database you can open", "pgstrata " PGSTRATA_VERSION,
                   "pgstrata COMMAND --help describes a command. Exit statuses: docs/exit-status.md.");
  AddOpenCommand(line, TakeTrailing(arguments));
  AddInfoCommand(line);
  AddLsCommand(line);
  AddCatCommand(line);
  AddDoctorCommand(line);
  AddDemoCommand(line);
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
