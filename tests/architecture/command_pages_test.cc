// --help and docs/commands say the same: every command has a page, and its fenced block is what --help prints.
// `./dev docs` writes these blocks.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <regex>
#include <sstream>
#include <string>

#include "app/cli/command.h"
#include "tests/architecture/source_tree.h"

namespace pgstrata::cli {
namespace {

using architecture::ReadSource;
using architecture::SourceRoot;

std::string HelpOf(const std::vector<std::string>& arguments) {
  std::ostringstream out;
  std::ostringstream err;
  Output output{.out = out, .err = err};
  EXPECT_EQ(RunProgram(arguments, output), 0) << err.str();
  return out.str();
}

std::vector<std::string> CommandNames() {
  const auto help = HelpOf({"--help"});
  const auto begin = help.find("Subcommands:\n");
  EXPECT_NE(begin, std::string::npos) << help;
  std::vector<std::string> names;
  std::istringstream lines(help.substr(std::min(begin, help.size())));
  std::string line;
  std::getline(lines, line);
  static const std::regex kCommand(R"(^  ([a-z][a-z-]*)\s.*)");
  while (std::getline(lines, line) && !line.empty()) {
    std::smatch match;
    if (std::regex_match(line, match, kCommand)) names.push_back(match[1]);
  }
  return names;
}

// The first block fenced as ```text.
std::string FencedHelp(const std::string& page) {
  const std::string fence = "```text\n";
  const auto begin = page.find(fence);
  if (begin == std::string::npos) return {};
  const auto from = begin + fence.size();
  return page.substr(from, page.find("```\n", from) - from);
}

std::string WithoutTrailingBlanks(const std::string& text) {
  auto trimmed = std::regex_replace(text, std::regex("[ \t]+\n"), "\n");
  while (trimmed.ends_with("\n\n")) trimmed.pop_back();
  while (trimmed.starts_with('\n')) trimmed.erase(0, 1);
  return trimmed;
}

TEST(CommandPages, SayWhatHelpSays) {
  const auto names = CommandNames();
  ASSERT_FALSE(names.empty());
  for (const auto& name : names) {
    const auto page = "docs/commands/" + name + ".md";
    EXPECT_EQ(WithoutTrailingBlanks(FencedHelp(ReadSource(page))), WithoutTrailingBlanks(HelpOf({name, "--help"})))
        << page << " is out of date; run ./dev docs";
  }
}

TEST(CommandPages, AreOfCommandsThatExist) {
  const auto names = CommandNames();
  for (const auto& entry : std::filesystem::directory_iterator(SourceRoot() / "docs/commands")) {
    EXPECT_EQ(std::ranges::count(names, entry.path().stem().string()), 1) << entry.path();
  }
}

TEST(CommandPages, ListEveryFlagWithADescription) {
  static const std::regex kFlag(R"((^|\n)  (-[^\n]*))");
  for (const auto& name : CommandNames()) {
    const auto help = HelpOf({name, "--help"});
    for (std::sregex_iterator it(help.begin(), help.end(), kFlag), end; it != end; ++it) {
      const auto flag = (*it)[2].str();
      const auto next = help.substr(static_cast<std::size_t>(it->position() + it->length()), 12);
      const bool described = flag.find("  ") != std::string::npos || next.starts_with("\n          ");
      EXPECT_TRUE(described) << name << ": " << flag << " has no description";
    }
  }
}

}  // namespace
}  // namespace pgstrata::cli
