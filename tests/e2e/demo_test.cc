// The demo tells its whole story, and leaves nothing, told to the end or not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>

#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "tests/e2e/pgstrata_program.h"

namespace pgstrata::test {
namespace {

using namespace std::chrono_literals;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr auto kDemoPatience = 120s;
constexpr const char* kRows = "200000 orders, 9999000.00 in all";

// The directory of a demo as `text` names it, or nothing.
std::string DirectoryIn(const PgstrataProgram& program, std::string_view text) {
  const std::string prefix = program.home() + "/demo-";
  const size_t at = text.find(prefix);
  return at == std::string_view::npos ? "" : std::string(text.substr(at, prefix.size() + io::kRandomSuffix));
}

// What the children of `parent` name on their command lines.
std::string DirectoryOfChildren(const PgstrataProgram& program, pid_t parent) {
  const auto names = io::ListDirectory("/proc");
  for (const auto& name : *names) {
    const auto status = io::ReadWholeFile("/proc/" + name + "/status");
    if (!status || !status->contains("\nPPid:\t" + std::to_string(parent) + '\n')) continue;
    const auto command_line = io::ReadWholeFile("/proc/" + name + "/cmdline");
    if (!command_line) continue;
    if (std::string directory = DirectoryIn(program, *command_line); !directory.empty()) return directory;
  }
  return {};
}

// The directory, and the processes that name it or work in it.
std::string LeftOf(const std::string& directory) {
  std::string left = io::Exists(directory) ? directory + '\n' : "";
  const auto names = io::ListDirectory("/proc");
  for (const auto& name : *names) {
    if (!ParseDecimal(name)) continue;
    const auto command_line = io::ReadWholeFile("/proc/" + name + "/cmdline");
    const auto works_in = io::ReadLink("/proc/" + name + "/cwd");
    const bool named = command_line && command_line->contains(directory);
    if (named || (works_in && works_in->starts_with(directory))) left += "process " + name + '\n';
  }
  return left;
}

void ExpectWholeStory(const PgstrataProgram& program, const io::Captured& run) {
  EXPECT_EQ(run.status.AsShell(), 0) << run.standard_error;
  EXPECT_EQ(run.standard_error, "");
  const auto lines = LinesWithoutNetworkWarning(run.standard_output);
  ASSERT_EQ(lines.size(), 8U) << run.standard_output;
  const std::vector<std::string> story = {"made a small production cluster: " + std::string(kRows),
                                          "took a base backup: " + program.home() + "/demo-",
                                          "production: DROP TABLE orders",
                                          "opened the backup and asked it: " + std::string(kRows),
                                          "were copied for that, of ",
                                          "copied the table back with pg_dump and psql",
                                          "closed the opened backup",
                                          "production has its rows back, and the backup is as it was"};
  for (size_t i = 0; i < story.size(); ++i) EXPECT_THAT(lines[i], HasSubstr(story[i]));
  EXPECT_THAT(lines[0], ContainsRegex("^ +[0-9]+\\.[0-9]+ s  "));
  EXPECT_THAT(lines[5], HasSubstr(kRows));
  EXPECT_EQ(LeftOf(DirectoryIn(program, lines[1])), "");
}

TEST(Demo, GetsTheRowsBackAndLeavesNothing) {
  const PgstrataProgram program;
  ExpectWholeStory(program, program.Run({"demo"}));
  EXPECT_EQ(program.Leftovers(), "");
}

TEST(Demo, NeedsNoRoot) {
  const PgstrataProgram program;
  ExpectWholeStory(program, TryRun({PgstrataProgram::Path(), "demo"},
                                   {{"PGSTRATA_HOME", program.home()}, {"PG_BIN", PostgresBin()}}));
  EXPECT_EQ(program.Leftovers(), "");
}

// Until the demo has told `text`; its directory, or nothing where it ended before.
std::string WaitUntilTold(const PgstrataProgram& program, io::Process& process, const std::string& text) {
  std::string directory;
  const auto deadline = std::chrono::steady_clock::now() + kDemoPatience;
  const auto reached = [&] {
    if (directory.empty()) directory = DirectoryOfChildren(program, process.pid());
    return !directory.empty() && io::ReadWholeFile(program.directory().Path("out")).value_or("").contains(text);
  };
  while (!reached()) {
    const auto ended = process.Wait(2ms);
    if (ended && !*ended && std::chrono::steady_clock::now() < deadline) continue;
    ADD_FAILURE() << io::ReadWholeFile(program.directory().Path("err")).value_or("");
    return {};
  }
  return directory;
}

// In the middle of initdb, of pg_basebackup, and of pg_dump with a session open: a program of its own, then a session,
// has to be ended with it.
TEST(Demo, InterruptedInTheMiddleLeavesNothing) {
  for (const std::string after : {"", "made a small production cluster", "asked it"}) {
    const PgstrataProgram program;
    io::Process process = program.Start({"demo"});
    const std::string directory = WaitUntilTold(program, process, after);
    ASSERT_NE(directory, "");
    ASSERT_TRUE(process.Signal(SIGINT));
    const auto status = process.Wait(kDemoPatience);
    ASSERT_TRUE(status && *status);
    EXPECT_EQ((*status)->AsShell(), 128 + SIGINT) << after;
    EXPECT_EQ(*io::ReadWholeFile(program.directory().Path("err")), "") << after;
    EXPECT_EQ(LeftOf(directory), "") << after;
    EXPECT_EQ(program.Leftovers(), "") << after;
  }
}

// In the middle of initdb, with production running, and with the backup open.
TEST(Demo, KilledInTheMiddleIsFoundByDoctorAndRemoved) {
  for (const std::string after : {"", "made a small production cluster", "asked it"}) {
    const PgstrataProgram program;
    io::Process process = program.Start({"demo"});
    const std::string directory = WaitUntilTold(program, process, after);
    ASSERT_NE(directory, "");
    EXPECT_THAT(program.Run({"doctor"}).standard_output, Not(HasSubstr(directory))) << "it runs";
    ASSERT_TRUE(process.Signal(SIGKILL));
    ASSERT_TRUE(process.Wait(kDemoPatience));
    // What it had started ends by itself; only the directory stays.
    const auto deadline = std::chrono::steady_clock::now() + kDemoPatience;
    while (LeftOf(directory) != directory + '\n' || !program.Leftovers().empty()) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << LeftOf(directory) << program.Leftovers();
    }
    const auto named = program.Run({"doctor"});
    EXPECT_THAT(named.standard_output, HasSubstr(directory + ": of a demo that was killed"));
    EXPECT_EQ(named.status.AsShell(), 69);
    EXPECT_THAT(program.Run({"doctor", "--repair"}).standard_output, HasSubstr("removed: " + directory));
    EXPECT_EQ(LeftOf(directory), "") << after;
    EXPECT_EQ(program.Leftovers(), "") << after;
    EXPECT_EQ(program.Run({"doctor"}).status.AsShell(), 0);
  }
}

}  // namespace
}  // namespace pgstrata::test
