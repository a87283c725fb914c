// What the shells offer for completion is what --help says.
#include <algorithm>
#include <regex>
#include <set>

#include "foundation/base/text.h"
#include "foundation/io/file.h"
#include "tests/e2e/kept_branches.h"

namespace pgstrata::test {
namespace {

using ::testing::Contains;
using ::testing::IsSupersetOf;

using Words = std::set<std::string>;

std::string Packaged(const std::string& name) {
  return *io::ReadWholeFile(std::string(PGSTRATA_SOURCE_DIR) + "/packaging/" + name);
}

class Completion : public ::testing::Test {
 protected:
  [[nodiscard]] std::string Help(std::vector<std::string> command) const {
    command.emplace_back("--help");
    const auto run = program_.Run(command);
    EXPECT_EQ(run.status.AsShell(), 0) << run.standard_error;
    return run.standard_output;
  }

  static Words Matches(const std::string& text, const std::string& pattern) {
    const std::regex regex(pattern);
    Words words;
    for (auto at = std::sregex_iterator(text.begin(), text.end(), regex); at != std::sregex_iterator(); ++at) {
      words.insert((*at)[1]);
    }
    return words;
  }
  [[nodiscard]] Words Commands(const std::vector<std::string>& command = {}) const {
    const std::string help = Help(command);
    const size_t begin = help.find("Subcommands:\n");
    if (begin == std::string::npos) return {};
    return Matches(help.substr(begin, help.find("\n\n", begin) - begin), R"(\n  ([a-z][a-z-]*)\s)");
  }
  // Every long option that stands at the beginning of a line of its own.
  [[nodiscard]] Words LongOptions(const std::vector<std::string>& command) const {
    Words options;
    const std::string help = Help(command);
    for (const auto& line : Matches(help, R"(\n  (-[^ \n]+))")) options.merge(Matches("," + line, R"(,(--[a-z-]+))"));
    return options;
  }

  // What bash offers for the last of `words`.
  [[nodiscard]] Words Offered(const std::vector<std::string>& words) const {
    std::vector<std::string> argv = {"bash",
                                     "-c",
                                     R"(PATH=$(dirname "$1"):$PATH; source "$2"; shift 2
           COMP_WORDS=(pgstrata "$@"); COMP_CWORD=$#; _pgstrata; printf '%s\n' "${COMPREPLY[@]}")",
                                     "completion",
                                     PgstrataProgram::Path(),
                                     std::string(PGSTRATA_SOURCE_DIR) + "/packaging/pgstrata.bash-completion"};
    argv.insert(argv.end(), words.begin(), words.end());
    const auto run = io::RunAndCapture({.argv = argv, .environment = program_.Environment(), .standard_input = -1});
    EXPECT_TRUE(run && run->standard_error.empty()) << run->standard_error;
    Words offered;
    for (const auto word : SplitLines(run->standard_output)) {
      if (!word.empty()) offered.emplace(word);
    }
    return offered;
  }

  PgstrataProgram program_;
};

TEST_F(Completion, OffersEveryCommand) {
  Words expected = Commands();
  ASSERT_THAT(expected, IsSupersetOf({"open", "branch", "mount"}));
  expected.insert({"--help", "--version"});
  EXPECT_EQ(Offered({""}), expected);
  EXPECT_EQ(Offered({"bra"}), Words{"branch"});
}

TEST_F(Completion, OffersEverySubcommandOfBranch) {
  const Words expected = Commands({"branch"});
  ASSERT_THAT(expected, IsSupersetOf({"create", "start", "set", "drop"}));
  EXPECT_EQ(Offered({"branch", ""}), expected);
  EXPECT_EQ(Offered({"branch", "rel"}), Words{"relocate"});
}

TEST_F(Completion, OffersEveryLongOptionOfEveryCommand) {
  for (const auto& command : Commands()) {
    const Words expected = LongOptions({command});
    ASSERT_THAT(expected, Contains("--help")) << command;
    EXPECT_EQ(Offered({command, "--"}), expected) << command;
    for (const auto& sub : Commands({command})) {
      const Words of_sub = LongOptions({command, sub});
      ASSERT_THAT(of_sub, Contains("--help")) << command << ' ' << sub;
      EXPECT_EQ(Offered({command, sub, "--"}), of_sub) << command << ' ' << sub;
      EXPECT_EQ(Offered({command, sub, "name", "--"}), of_sub) << command << ' ' << sub;
    }
  }
}

// There is no zsh to ask: what it asks the program is what bash asks.
TEST_F(Completion, ZshAsksTheProgramAsBashDoes) {
  const auto asked = [](const std::string& name) {
    const std::string text = Packaged(name);
    const size_t begin = text.find("_pgstrata_commands() {");
    return text.substr(begin, text.find("\n_pgstrata() {") - begin);
  };
  EXPECT_FALSE(asked("_pgstrata").empty());
  EXPECT_EQ(asked("_pgstrata"), asked("pgstrata.bash-completion"));
}

class BranchCompletion : public KeptBranches {};

INSTANTIATE_TEST_SUITE_P(Branch, BranchCompletion, ::testing::Values(false), [](const auto&) { return "AsUs"; });

TEST_P(BranchCompletion, OffersTheNamesOfBranches) {
  for (const char* name : {"one", "other"}) Do({"create", name, "--from", Source()});
  const auto offered = [&](const std::string& sub) {
    const auto run = io::RunAndCapture(
        {.argv = {"bash", "-c",
                  R"(PATH=$(dirname "$0"):$PATH; source "$1"; COMP_WORDS=(pgstrata branch "$2" o); COMP_CWORD=3
                     _pgstrata; echo "${COMPREPLY[@]}")",
                  PgstrataProgram::Path(), std::string(PGSTRATA_SOURCE_DIR) + "/packaging/pgstrata.bash-completion",
                  sub},
         .environment = program_.Environment(),
         .standard_input = -1});
    return run->standard_output;
  };
  EXPECT_EQ(offered("start"), "one other\n");
  EXPECT_EQ(offered("drop"), "one other\n");
}

}  // namespace
}  // namespace pgstrata::test
