#include <unistd.h>

#include <cctype>
#include <iostream>
#include <ostream>
#include <string>
#include <utility>

#include "app/cli/branch_command.h"
#include "app/cli/command.h"
#include "app/cli/exit_status.h"
#include "app/cli/terminal_text.h"
#include "foundation/base/text.h"

namespace pgstrata::cli {

branch::BranchEvents EventsOf(const SignalQueue& signals, Output& output, bool quiet) {
  return {.warning =
              [&output](const std::string& text) {
                output.err << "pgstrata: warning: " << EscapeForTerminal(text) << std::endl;
              },
          .progress =
              [&output, quiet](const std::string& text) {
                if (!quiet) output.err << EscapeForTerminal(text) << std::endl;
              },
          .cancel_fd = signals.fd()};
}

Result<int> RunHeld(Output& output, const std::function<Status(const branch::BranchEvents& events)>& work) {
  PGS_ASSIGN(SignalQueue signals, SignalQueue::Create());
  auto status = work(EventsOf(signals, output));
  if (status) return kExitOk;
  if (const auto signal = signals.Take()) return kExitSignalBase + signal->number;
  return std::unexpected(std::move(status).error());
}

Status Confirm(const std::string& question, bool force, Output& output) {
  if (force) return {};
  if (::isatty(STDIN_FILENO) == 0) {
    return Fail(Error(ErrorCode::kUsage, "without a terminal to ask on, this wants --force").WithHint(question));
  }
  output.err << question << " [y/N] " << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  if (answer == "y" || answer == "Y" || answer == "yes") return {};
  return Fail(ErrorCode::kCancelled, "nothing was changed");
}

namespace {

constexpr std::pair<std::string_view, unsigned> kSizeUnits[] = {{"TB", 40}, {"GB", 30}, {"MB", 20},
                                                                {"kB", 10}, {"B", 0},   {"", 0}};

}  // namespace

std::string WriteSize(uint64_t bytes) {
  for (const auto& [name, shift] : kSizeUnits) {
    const uint64_t number = bytes >> shift;
    if (number != 0 && number << shift == bytes) return std::to_string(number) + std::string(name);
  }
  return "0B";
}

Result<uint64_t> ParseSize(const std::string& text) {
  size_t digits = 0;
  while (digits < text.size() && std::isdigit(static_cast<unsigned char>(text[digits])) != 0) ++digits;
  const auto number = ParseDecimal(std::string_view(text).substr(0, digits));
  const std::string unit(TrimWhitespace(std::string_view(text).substr(digits)));
  for (const auto& [name, shift] : kSizeUnits) {
    if (number && *number > 0 && unit == name && *number <= (static_cast<uint64_t>(INT64_MAX) >> shift))
      return *number << shift;
  }
  return Fail(Error(ErrorCode::kUsage, Quoted(text) + " is no size").WithHint("write it like 500MB or 10GB"));
}

void AddBranchCommand(CommandLine& line, std::vector<std::string> trailing) {
  CommandGroup group = line.AddGroup("branch", "Keep databases on backups: create, start, stop, drop");
  AddBranchCreate(group);
  AddBranchRunCommands(group);
  AddBranchClientCommands(group, std::move(trailing));
  AddBranchListCommands(group);
  AddBranchCompact(group);
  AddBranchChangeCommands(group);
}

}  // namespace pgstrata::cli
