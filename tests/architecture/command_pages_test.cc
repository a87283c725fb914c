// --help and docs/commands say the same: every command has a page, and its fenced block is what --help prints.
// `./dev docs` writes these blocks.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <string>

#include "app/cli/command.h"
#include "tests/architecture/source_tree.h"

namespace pgstrata::cli {
namespace {

using architecture::MatchAll;
using architecture::ReadSource;
using architecture::SourceRoot;

std::string HelpOf(const std::vector<std::string>& arguments) {
  std::ostringstream out;
  std::ostringstream err;
  Output output{.out = out, .err = err};
  EXPECT_EQ(RunProgram(arguments, output), 0) << err.str();
  return out.str();
}

// Of the program, or of a command that consists of commands.
std::vector<std::string> CommandNames(std::vector<std::string> arguments = {}) {
  arguments.emplace_back("--help");
  const auto help = HelpOf(arguments);
  const auto begin = help.find("Subcommands:\n");
  if (begin == std::string::npos) return {};
  const auto list = help.substr(begin);
  std::vector<std::string> names;
  for (const auto& match : MatchAll(list.substr(0, list.find("\n\n")), R"(\n  ([a-z][a-z-]*)\s)"))
    names.push_back(match[1]);
  return names;
}

// The first block fenced as ```text, below the line `heading` where one is given.
std::string FencedHelp(const std::string& page, const std::string& heading = "") {
  const std::string fence = "```text\n";
  const auto begin = page.find(fence, heading.empty() ? 0 : page.find("\n" + heading + "\n"));
  if (begin == std::string::npos) return {};
  const auto from = begin + fence.size();
  return page.substr(from, page.find("```\n", from) - from);
}

// Without blanks at the ends of lines and empty lines around.
std::string Trimmed(const std::string& text) {
  std::string trimmed;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    line.erase(line.find_last_not_of(" \t") + 1);
    if (!line.empty() || !trimmed.empty()) trimmed += line + "\n";
  }
  while (trimmed.ends_with("\n\n")) trimmed.pop_back();
  return trimmed;
}

TEST(CommandPages, SayWhatHelpSays) {
  const auto names = CommandNames();
  ASSERT_FALSE(names.empty());
  for (const auto& name : names) {
    const auto page = "docs/commands/" + name + ".md";
    EXPECT_EQ(Trimmed(FencedHelp(ReadSource(page))), Trimmed(HelpOf({name, "--help"})))
        << page << " is out of date; run ./dev docs";
    for (const auto& sub : CommandNames({name})) {
      EXPECT_EQ(Trimmed(FencedHelp(ReadSource(page), "## " + name + " " + sub)), Trimmed(HelpOf({name, sub, "--help"})))
          << page << " is out of date; run ./dev docs";
    }
  }
}

TEST(CommandPages, AreOfCommandsThatExist) {
  const auto names = CommandNames();
  for (const auto& entry : std::filesystem::directory_iterator(SourceRoot() / "docs/commands")) {
    EXPECT_EQ(std::ranges::count(names, entry.path().stem().string()), 1) << entry.path();
  }
}

TEST(CommandPages, ListEveryFlagWithADescription) {
  std::vector<std::vector<std::string>> commands;
  for (const auto& name : CommandNames()) {
    commands.push_back({name});
    for (const auto& sub : CommandNames({name})) commands.push_back({name, sub});
  }
  for (auto command : commands) {
    const std::string name = command.back();
    command.emplace_back("--help");
    // A flag's description stands on its line, or on the next one, further in.
    for (const auto& flag : MatchAll(HelpOf(command), R"(\n  (-\S[^\n]*)(\n {6,}\S)?)")) {
      EXPECT_TRUE(flag[1].find("  ") != std::string::npos || !flag[2].empty())
          << name << ": " << flag[1] << " has no description";
    }
  }
}

}  // namespace
}  // namespace pgstrata::cli
