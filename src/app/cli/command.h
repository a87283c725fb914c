// What every command is made of. One command, one file: cmd_NAME.cc declares its arguments, calls one function of a
// room and prints. Output goes to the streams that are given, so a test runs a command in process.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

#include "foundation/base/error.h"

namespace pgstrata::cli {

struct Output {
  std::ostream& out;  // what was asked for, and nothing else
  std::ostream& err;  // steps, timings, warnings, errors
};

// What the parsed command line wants done: set by the callback of the command that was named. Returns the exit status.
using Action = std::function<Result<int>(Output&)>;

// Adds a command's sub-parser to `app`; its callback sets `action`.
void AddCatCommand(CLI::App& app, Action& action);
void AddDemoCommand(CLI::App& app, Action& action);
void AddDoctorCommand(CLI::App& app, Action& action);
void AddInfoCommand(CLI::App& app, Action& action);
void AddLsCommand(CLI::App& app, Action& action);
// `trailing` is what stood after "--": arguments of the client.
void AddOpenCommand(CLI::App& app, Action& action, std::vector<std::string> trailing);

// Parses and runs; errors are printed to `output.err`. Returns the exit status (docs/exit-status.md).
int RunProgram(std::vector<std::string> arguments, Output& output);

// A footer for --help: examples, one a line.
void SetExamples(CLI::App& command, const std::vector<std::string>& lines);

}  // namespace pgstrata::cli
