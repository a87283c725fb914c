#include "app/cli/command_line.h"

#include <gtest/gtest.h>

#include <sstream>

#include "app/cli/exit_status.h"

namespace pgstrata::cli {
namespace {

class CommandLineTest : public testing::Test {
 protected:
  CommandLineTest() : line_("A program", "program 1", "A footer") {
    Command command = line_.Add("run", "Run something");
    command.Optional("SOURCE", source_, "A source");
    command.Ordered({{"-c,--command", "-c", "SQL", "SQL"}, {"-f,--file", "-f", "FILE", "A file"}}, script_);
    command.Repeatable("--wal", "DIR", wal_, "WAL");
    command.Option("--keep", "NAME", keep_, "A name");
    command.Flag("-x", x_, "x");
    command.Flag("-y", y_, "y");
    command.Exclude("-x", "-y");
    command.Run([](Output&) { return 7; });
  }

  // The status that parsing ends with, or that of the action.
  int Parse(std::vector<std::string> arguments) {
    Output output{.out = out_, .err = err_};
    const auto parsed = line_.Parse(std::move(arguments), output);
    if (const int* said = std::get_if<int>(&parsed)) return *said;
    return std::get<Action>(parsed)(output).value();
  }

  CommandLine line_;
  std::string source_;
  std::vector<std::string> script_;
  std::vector<std::string> wal_;
  std::optional<std::string> keep_;
  bool x_ = false;
  bool y_ = false;
  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(CommandLineTest, OrderedOptionsKeepTheirOrderAcrossKinds) {
  EXPECT_EQ(Parse({"run", "-c", "one", "-f", "two", "--command", "three"}), 7);
  EXPECT_EQ(script_, (std::vector<std::string>{"-c", "one", "-f", "two", "-c", "three"}));
}

TEST_F(CommandLineTest, RepeatableOptionsTakeOneValueEach) {
  EXPECT_EQ(Parse({"run", "--wal", "a", "--wal", "b"}), 7);
  EXPECT_EQ(wal_, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(Parse({"run", "--wal", "a", "source"}), 7);
  EXPECT_EQ(wal_, (std::vector<std::string>{"a"}));
  EXPECT_EQ(source_, "source");
  EXPECT_EQ(Parse({"run", "-c", "one", "other"}), 7);
  EXPECT_EQ(source_, "other");
}

TEST_F(CommandLineTest, AnEmptyValueIsNotTheSameAsNone) {
  EXPECT_EQ(Parse({"run"}), 7);
  EXPECT_FALSE(keep_.has_value());
  EXPECT_EQ(Parse({"run", "--keep", ""}), 7);
  EXPECT_EQ(keep_, "");
  EXPECT_EQ(Parse({"run", "--keep=test"}), 7);
  EXPECT_EQ(keep_, "test");
}

TEST_F(CommandLineTest, ContradictionsAreErrorsOfUsage) {
  EXPECT_EQ(Parse({"run", "-x", "-y"}), kExitUsage);
  EXPECT_FALSE(err_.str().empty());
  EXPECT_EQ(out_.str(), "");
}

TEST_F(CommandLineTest, HelpAndVersionGoToStandardOutput) {
  EXPECT_EQ(Parse({"--version"}), kExitOk);
  EXPECT_EQ(out_.str(), "program 1\n");
  EXPECT_EQ(Parse({"run", "--help"}), kExitOk);
  EXPECT_NE(out_.str().find("--file FILE"), std::string::npos);
  EXPECT_EQ(err_.str(), "");
}

}  // namespace
}  // namespace pgstrata::cli
