// What every command is made of. One command, one file: cmd_NAME.cc declares its arguments, calls one function of a
// room and prints. Output goes to the streams that are given, so a test runs a command in process.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "app/cli/command_line.h"

namespace pgstrata::cli {

// Each adds a command.
// `trailing` as for AddOpenCommand: psql's.
void AddBranchCommand(CommandLine& line, std::vector<std::string> trailing);
void AddCatCommand(CommandLine& line);
void AddCleanupCommand(CommandLine& line);
void AddDemoCommand(CommandLine& line);
void AddDoctorCommand(CommandLine& line);
void AddInfoCommand(CommandLine& line);
void AddLsCommand(CommandLine& line);
void AddMountCommand(CommandLine& line);
void AddSnapshotsCommand(CommandLine& line);
void AddStatCommand(CommandLine& line);
void AddUnmountCommand(CommandLine& line);
void AddVerifyCommand(CommandLine& line);
// `trailing` is what stood after "--": arguments of the client.
void AddOpenCommand(CommandLine& line, std::vector<std::string> trailing);

// All of them.
void AddCommands(CommandLine& line, const std::vector<std::string>& trailing);

// Parses and runs; errors are printed to `output.err`. Returns the exit status (docs/exit-status.md). `called` is the
// name that the program was called by (argv[0]): as pbkfs it knows pbkfs's ways (docs/pbkfs.md).
int RunProgram(std::vector<std::string> arguments, Output& output, std::string_view called = "pgstrata");

}  // namespace pgstrata::cli
