// The systemd units of the package name commands and options that there are.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <variant>

#include "app/cli/command.h"
#include "app/cli/exit_status.h"

namespace pgstrata::cli {
namespace {

const std::filesystem::path kUnits = std::filesystem::path(PGSTRATA_SOURCE_DIR) / "packaging/systemd";

std::string Text(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// The command lines of a unit: those of ExecStart, ExecStop, ExecReload and their like, as arguments after the program.
// What is filled in at run time is a word: an instance's name, a variable in braces. One without is split by systemd,
// and may be nothing.
std::vector<std::vector<std::string>> CommandLines(const std::string& unit) {
  std::vector<std::vector<std::string>> lines;
  const std::regex exec(R"(\nExec[A-Za-z]+=([^\n]*))");
  for (auto at = std::sregex_iterator(unit.begin(), unit.end(), exec); at != std::sregex_iterator(); ++at) {
    std::istringstream words((*at)[1]);
    std::string word;
    words >> word;
    EXPECT_TRUE(word == "/usr/bin/pgstrata" || word == "-/usr/bin/pgstrata")
        << word << ": not where the package has it";
    auto& line = lines.emplace_back();
    while (words >> word) {
      if (word.starts_with("${") || word == "%i") {
        line.emplace_back("word");
      } else if (word.front() != '$') {
        line.push_back(word);
      }
    }
  }
  return lines;
}

// Whether the program's own parser takes the line. Nothing is done.
bool IsTaken(const std::vector<std::string>& arguments, std::string& said) {
  std::ostringstream out;
  std::ostringstream err;
  Output output{.out = out, .err = err};
  CommandLine line("", "", "");
  AddCommands(line, {});
  const auto parsed = line.Parse(arguments, output);
  said = err.str();
  return std::holds_alternative<Action>(parsed);
}

TEST(SystemdUnits, NameCommandsAndOptionsThatThereAre) {
  size_t units = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kUnits)) {
    ++units;
    const auto lines = CommandLines(Text(entry.path()));
    EXPECT_GE(lines.size(), 2U) << entry.path() << ": a start and a stop";
    for (const auto& line : lines) {
      std::string said;
      EXPECT_TRUE(IsTaken(line, said)) << entry.path() << ": " << said;
    }
  }
  EXPECT_EQ(units, 2U);
}

TEST(SystemdUnits, WouldBeFoundOutOtherwise) {
  std::string said;
  for (const auto& line : CommandLines("\nExecStart=/usr/bin/pgstrata branch strat %i\n"
                                       "ExecStop=-/usr/bin/pgstrata unmount --forse ${MNT}\n"
                                       "ExecStopPost=/usr/bin/pgstrata branch rename %i\n")) {
    EXPECT_FALSE(IsTaken(line, said)) << line[0];
    EXPECT_FALSE(said.empty());
  }
}

// What stands in OPTIONS follows the unit's own words.
TEST(SystemdUnits, TakeTheOptionsThatTheManualNames) {
  std::string said;
  for (auto line : CommandLines(Text(kUnits / "pgstrata-mount@.service"))) {
    if (line.front() != "mount") continue;
    line.insert(line.end(), {"--wal", "/archive", "--allow-other", "--timeout", "60"});
    EXPECT_TRUE(IsTaken(line, said)) << said;
  }
}

TEST(SystemdUnits, SayWhereTheirVariablesComeFrom) {
  for (const auto& entry : std::filesystem::directory_iterator(kUnits)) {
    const std::string unit = Text(entry.path());
    const std::string comment = unit.substr(0, unit.find("[Unit]"));
    const std::regex variable(R"(\$\{?([A-Z_]+))");
    for (auto at = std::sregex_iterator(unit.begin(), unit.end(), variable); at != std::sregex_iterator(); ++at) {
      EXPECT_NE(comment.find((*at)[1]), std::string::npos) << entry.path() << ": " << (*at)[1];
    }
  }
}

TEST(SystemdUnits, NameManualPagesOfThePackage) {
  for (const auto& entry : std::filesystem::directory_iterator(kUnits)) {
    const std::string unit = Text(entry.path());
    const std::regex manual(R"(man:pgstrata-([a-z]+)\(1\))");
    size_t pages = 0;
    for (auto at = std::sregex_iterator(unit.begin(), unit.end(), manual); at != std::sregex_iterator();
         ++at, ++pages) {
      EXPECT_TRUE(std::filesystem::exists(std::filesystem::path(PGSTRATA_SOURCE_DIR) / "docs/commands" /
                                          ((*at)[1].str() + ".md")));
    }
    EXPECT_EQ(pages, 1U) << entry.path();
  }
}

}  // namespace
}  // namespace pgstrata::cli
