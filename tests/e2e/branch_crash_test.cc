// Kept branches: what was committed is there, whoever is killed.
#include <sys/stat.h>

#include <csignal>
#include <cstdlib>
#include <memory>
#include <random>
#include <thread>

#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "foundation/io/lock.h"
#include "tests/e2e/kept_branches.h"

namespace pgstrata::test {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class BranchCrash : public KeptBranches {
 protected:
  [[nodiscard]] pid_t Postmaster(const std::string& name) const {
    const auto text = io::ReadWholeFile(Directory(name) + "/run/server.pid");
    return text ? static_cast<pid_t>(ParseDecimal(TrimWhitespace(*text)).value_or(0)) : 0;
  }

  // Commits numbers from `first` on, one a transaction, and prints each that was acknowledged, until the server is
  // gone.
  [[nodiscard]] io::Process CommitNumbers(const std::string& name, int first, const std::string& output) const {
    const std::string statements = program_.directory().WriteFile(
        "numbers.sh", "i=" + std::to_string(first) +
                          "; while :; do echo \"insert into numbers values ($i) returning n;\"; i=$((i+1)); done\n");
    const std::string environment = Do({"env", name});
    return RunInBackground(
        {"/bin/sh", "-c",
         environment + "/bin/sh " + statements + " | '" + PostgresProgram("psql") + "' -XAtq -v ON_ERROR_STOP=1"},
        output);
  }

  // The last number that psql printed as a whole line.
  static int LastAcknowledged(const std::string& output, int before) {
    std::string text = io::ReadWholeFile(output).value_or("");
    const size_t end = text.rfind('\n');
    text.resize(end == std::string::npos ? 0 : end);
    int last = before;
    for (const auto line : SplitLines(text)) {
      if (const auto number = ParseDecimal(line)) last = static_cast<int>(*number);
    }
    return last;
  }

  void ExpectAllThere(const std::string& name, int last) const {
    EXPECT_EQ(Sql(name, "select count(*) from generate_series(1, " + std::to_string(last) +
                            ") i where not exists (select from numbers where n = i)"),
              "0")
        << "of " << last << " acknowledged commits";
  }
};

INSTANTIATE_TEST_SUITE_P(Branch, BranchCrash, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "WithoutRoot" : "AsUs"; });

// What a server that outlived its worker is found by.
TEST_P(BranchCrash, ARunningServerHoldsItsLockWithAllItsProcesses) {
  Do({"create", "test", "--from", Source(), "--start"});
  const std::string lock = Directory("test") + "/server.lock";
  EXPECT_TRUE(io::FileLock::IsHeld(lock).value());
  const std::string output = program_.directory().Path("busy");
  io::Process client = RunInBackground(
      {"/bin/sh", "-c",
       Do({"env", "test"}) + "exec '" + PostgresProgram("psql") + "' -Xc 'do $$ begin loop end loop; end $$'"},
      output);
  const auto end = [](io::Process* process) { static_cast<void>(process->End(SIGKILL, 5s)); };
  const std::unique_ptr<io::Process, decltype(end)> ended(&client, end);
  const auto busy = [&] { return Sql("test", "select count(*) from pg_stat_activity where query ~ '^do '"); };
  ASSERT_TRUE(Eventually([&] { return busy() == "1"; }));
  ASSERT_TRUE(KillAndWait(Postmaster("test")));
  EXPECT_TRUE(io::FileLock::IsHeld(lock).value()) << "a backend that does not look for its postmaster goes on";
  Do({"start", "test"});
  EXPECT_EQ(busy(), "0");
  Do({"stop", "test"});
  EXPECT_FALSE(io::FileLock::IsHeld(lock).value());
}

TEST_P(BranchCrash, WhatWasAcknowledgedIsThereWhoeverIsKilled) {
  const int rounds = std::getenv("PGSTRATA_LONG") != nullptr ? 200 : 3;
  const unsigned seed = std::random_device{}();
  RecordProperty("seed", std::to_string(seed));
  std::mt19937 random(seed);
  Do({"create", "test", "--from", Source(), "--start"});
  Sql("test",
      "create table numbers (n int primary key, filler text default repeat('x', 500)); create extension amcheck");
  int last = 0;
  for (int round = 0; round < rounds; ++round) {
    const std::string output = program_.directory().Path("numbers");
    io::Process client = CommitNumbers("test", last + 1, output);
    std::this_thread::sleep_for(std::chrono::milliseconds(200 + random() % 1000));
    const pid_t worker = Worker("test");
    const pid_t postmaster = Postmaster("test");
    ASSERT_GT(worker, 0);
    ASSERT_GT(postmaster, 0);
    if (round % 3 != 1) {
      EXPECT_TRUE(KillAndWait(worker));
    }
    if (round % 3 != 0) {
      EXPECT_TRUE(KillAndWait(postmaster));
    }
    if (round % 3 == 0) std::this_thread::sleep_for(100ms);  // a server without its volume may go on for a while
    Do({"start", "test"});
    ASSERT_TRUE(*client.Wait(30s)) << "its server is still there";
    last = LastAcknowledged(output, last);
    ExpectAllThere("test", last);
    Sql("test", "delete from numbers where n > " + std::to_string(last));
    ASSERT_FALSE(HasFailure()) << "seed " << seed << ", round " << round;
  }
  EXPECT_GT(last, 0);
  EXPECT_EQ(Sql("test",
                "select count(*) from (select bt_index_check(c.oid, true) from pg_index i join pg_class c on "
                "c.oid = i.indexrelid join pg_am a on a.oid = c.relam where a.amname = 'btree' and "
                "c.relpersistence <> 't') as checked") == "0",
            false);
  EXPECT_EQ(LeftBehind(), "");
}

TEST_P(BranchCrash, ServerThatLostItsVolumeIsEndedBeforeAnotherMount) {
  Do({"create", "test", "--from", Source(), "--start"});
  const pid_t postmaster = Postmaster("test");
  ASSERT_TRUE(KillAndWait(Worker("test")));
  EXPECT_THAT(LeftBehind(), HasSubstr("\"test\" lost the process that served it"));
  EXPECT_EQ(Shown("test", "state"), "crashed");
  Do({"start", "test"});
  EXPECT_NE(::kill(postmaster, 0) == 0 && Postmaster("test") == postmaster, true);
  EXPECT_EQ(Sql("test", "select count(*) from t"), "1000");
}

TEST_P(BranchCrash, DoctorRepairsABranchThatLostItsWorker) {
  Do({"create", "test", "--from", Source(), "--start"});
  ASSERT_TRUE(KillAndWait(Worker("test")));
  const std::vector<std::string> repair = {PgstrataProgram::Path(), "doctor", "--repair"};
  if (without_root()) {
    TryRun(repair, {{"PGSTRATA_HOME", program_.home()}, {"PG_BIN", PostgresBin()}});
  } else {
    static_cast<void>(program_.Run({"doctor", "--repair"}));
  }
  EXPECT_EQ(LeftBehind(), "");
  EXPECT_EQ(program_.Leftovers(), "");
  Do({"start", "test"});
  EXPECT_EQ(Sql("test", "select count(*) from t"), "1000");
}

TEST_P(BranchCrash, EphemeralBranchIsNotTrustedAfterACrash) {
  Do({"create", "test", "--from", Source(), "--ephemeral", "--start"});
  EXPECT_EQ(Sql("test", "show fsync"), "off");
  Sql("test", "create table more ()");
  // In order it is kept.
  Do({"restart", "test"});
  EXPECT_EQ(Sql("test", "select to_regclass('more') is null"), "f");
  ASSERT_TRUE(KillAndWait(Worker("test")));
  EXPECT_THAT(Refused(65, {"start", "test"}), HasSubstr("cannot be trusted"));
  EXPECT_THAT(Refused(65, {"start", "test"}), HasSubstr("cannot be trusted")) << "nor the second time";
  Do({"reset", "test", "--force"});
  Do({"start", "test"});
  EXPECT_EQ(Sql("test", "select to_regclass('more') is null"), "t");
}

TEST_P(BranchCrash, KilledCreateIsFoundAndRemoved) {
  unsigned made = 0;
  for (int milliseconds = 5; milliseconds < 100; milliseconds += 19) {
    io::Process create = StartBranch({"create", "b" + std::to_string(milliseconds), "--from", Source()},
                                     program_.directory().Path("out"));
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    static_cast<void>(create.Signal(SIGKILL));
    ASSERT_TRUE(*create.Wait(30s));
    ++made;
  }
  EXPECT_GT(made, 0U);
  if (without_root()) {
    TryRun({PgstrataProgram::Path(), "doctor", "--repair"},
           {{"PGSTRATA_HOME", program_.home()}, {"PG_BIN", PostgresBin()}});
  } else {
    static_cast<void>(program_.Run({"doctor", "--repair"}));
  }
  EXPECT_EQ(LeftBehind(), "");
}

}  // namespace
}  // namespace pgstrata::test
