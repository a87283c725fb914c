// What the commands of `pgstrata branch` share. Private to cmd_branch*.cc and cmd_open_keep.cc.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "app/cli/command_line.h"
#include "app/cli/signals.h"
#include "branch/branch/locked_branch.h"
#include "foundation/base/clock.h"
#include "foundation/base/error.h"

namespace pgstrata::cli {

// Each adds its commands to the group.
void AddBranchCreate(CommandGroup& group);
void AddBranchRunCommands(CommandGroup& group);     // start stop restart
void AddBranchChangeCommands(CommandGroup& group);  // reset drop rename set relocate
void AddBranchListCommands(CommandGroup& group);    // list show
void AddBranchCompact(CommandGroup& group);
// psql env logs. `trailing` is what stood after "--": psql's.
void AddBranchClientCommands(CommandGroup& group, std::vector<std::string> trailing);

// What a long command tells goes to the error stream; `quiet` leaves out all but warnings.
branch::BranchEvents EventsOf(const SignalQueue& signals, Output& output, bool quiet = false);

// Runs `work` with signals held back: it cleans up after itself, and a wait that may be given up ends. The exit status
// is 128 + the signal where one came and the work did not succeed.
Result<int> RunHeld(Output& output, const std::function<Status(const branch::BranchEvents& events)>& work);

// Says that a branch runs, and how to reach it.
void TellHowToConnect(const branch::BranchRecord& record, const Stopwatch& watch, Output& output);

// After the start of a branch: where it stands on many layers, another process merges some while it runs.
void MergeWhereDeep(const branch::LockedBranch& branch);

// Asks on the terminal. Without one: kUsage, which says that --force is wanted. kCancelled when the answer is no.
Status Confirm(const std::string& question, bool force, Output& output);

// "500MB", "10 GB": powers of 1024, named as PostgreSQL names them. kUsage otherwise.
Result<uint64_t> ParseSize(const std::string& text);
// That which ParseSize reads as `bytes`, in the largest unit.
std::string WriteSize(uint64_t bytes);

}  // namespace pgstrata::cli
