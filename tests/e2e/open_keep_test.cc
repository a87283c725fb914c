// `open --keep`: the session of `open`, on a branch that stays.
#include <csignal>
#include <thread>

#include "foundation/base/text.h"
#include "foundation/codec/json.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "tests/e2e/kept_branches.h"

namespace pgstrata::test {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class OpenKeep : public KeptBranches {
 protected:
  // `open SOURCE --keep test` with more arguments, to the end.
  [[nodiscard]] io::Captured Open(const std::vector<std::string>& arguments) const {
    std::vector<std::string> all = {"open", Source(), "--keep", "test"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return Pgstrata(all);
  }

  // Starts it with a client that has added a row when this returns, and waits.
  [[nodiscard]] io::Process OpenWaiting() const {
    const std::string marker = program_.directory().Path("running");
    io::Process process =
        StartPgstrata({"open", Source(), "--keep", "test", "--exec", "--", "/bin/sh", "-c",
                       "'" + PostgresProgram("psql") + "' -Xqc \"insert into t values (1001, 'mine')\" && touch '" +
                           marker + "' && exec sleep 1000"},
                      Output());
    EXPECT_TRUE(Eventually([&] { return io::Exists(marker); })) << Said();
    return process;
  }

  static int StatusOf(io::Process& process) {
    const auto status = process.Wait(kPatience);
    return status && *status ? (*status)->AsShell() : -1;
  }

  [[nodiscard]] std::string Output() const { return program_.directory().Path("output"); }
  [[nodiscard]] std::string Said() const { return io::ReadWholeFile(Output()).value_or(""); }

  void ExpectStoppedWithItsRow() const {
    EXPECT_EQ(Shown("test", "state"), "stopped");
    EXPECT_EQ(program_.Leftovers(), "");
    EXPECT_EQ(LeftBehind(), "");
    Do({"start", "test"});
    EXPECT_EQ(Sql("test", "select count(*) from t"), "1001");
  }
};

INSTANTIATE_TEST_SUITE_P(Branch, OpenKeep, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "WithoutRoot" : "AsUs"; });

TEST_P(OpenKeep, WhatTheSessionChangedStays) {
  const std::string before = TreeState(Source());
  const std::string report_file = program_.directory().Path("report.json");
  const auto run =
      Open({"-c", "show fsync", "-c", "insert into t values (1001, 'mine')", "--json", report_file, "--", "-XAtq"});
  EXPECT_EQ(run.status.AsShell(), 0) << run.standard_error;
  EXPECT_EQ(run.standard_output, "on\n");
  EXPECT_THAT(run.standard_error, HasSubstr("changes are kept in branch test"));
  EXPECT_THAT(run.standard_error, HasSubstr("pgstrata branch start test"));
  const auto report = codec::ParseJson(io::ReadWholeFile(report_file).value_or(""));
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ((*report)["branch"], "test");
  EXPECT_EQ((*report)["go_on_with"], "pgstrata branch start test");
  for (const char* step : {"create", "start", "stop"}) EXPECT_GT((*report)["steps_ms"][step], 0.0) << step;
  EXPECT_GT((*report)["layer_bytes"], 0);
  ExpectStoppedWithItsRow();
  EXPECT_EQ(TreeState(Source()), before);
}

TEST_P(OpenKeep, QuietSaysNothingAndStatusIsTheClients) {
  const auto run = Open({"-q", "--exec", "--", "/bin/sh", "-c", "exit 42"});
  EXPECT_EQ(run.status.AsShell(), 42);
  EXPECT_THAT(LinesWithoutNetworkWarning(run.standard_error), ::testing::IsEmpty()) << run.standard_error;
  EXPECT_EQ(Shown("test", "state"), "stopped");
}

TEST_P(OpenKeep, OnlineBackupIsRecoveredAndKept) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Psql("create table t as select i from generate_series(1, 1000) i");
  const std::string backup = cluster.BaseBackup("backup");
  const auto run = Pgstrata({"open", backup, "--keep", "test", "-c", "delete from t where i > 10"});
  EXPECT_EQ(run.status.AsShell(), 0) << run.standard_error;
  Do({"start", "test"});
  EXPECT_EQ(Sql("test", "select count(*) from t"), "10");
}

TEST_P(OpenKeep, TakenNameIsRefusedBeforeAnythingStarts) {
  Do({"create", "test", "--from", Source()});
  const std::string marker = program_.directory().Path("ran");
  const auto run = Open({"--exec", "--", "/bin/touch", marker});
  EXPECT_EQ(run.status.AsShell(), 71);
  EXPECT_EQ(run.standard_error, Refused(71, {"create", "test", "--from", Source()}));
  EXPECT_FALSE(io::Exists(marker));
  EXPECT_EQ(Pgstrata({"open", Source(), "--keep", "latest", "-c", "select 1"}).status.AsShell(), 64);
  EXPECT_EQ(Pgstrata({"open", Source(), "--keep", "", "-c", "select 1"}).status.AsShell(), 64);
}

TEST_P(OpenKeep, WhatIsOfOneSessionOnlyIsRefused) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"--no-text-index"}, {"--with-preload", "pg_cron"}, {"--without-preload", "pg_cron"}}) {
    const auto run = Open(arguments);
    EXPECT_EQ(run.status.AsShell(), 64) << arguments[0];
    EXPECT_THAT(run.standard_error, HasSubstr("--keep")) << arguments[0];
  }
  EXPECT_EQ(Do({"list"}), "");
}

TEST_P(OpenKeep, WhatCouldNotBeOpenedIsNotKept) {
  const auto run = Open({"-d", "nowhere", "-c", "select 1"});
  EXPECT_NE(run.status.AsShell(), 0);
  EXPECT_THAT(run.standard_error, HasSubstr("nowhere"));
  EXPECT_EQ(Do({"list"}), "");
  EXPECT_EQ(LeftBehind(), "");
}

TEST_P(OpenKeep, SignalsEndTheSessionAndLeaveTheBranch) {
  for (const int signal : {SIGTERM, SIGHUP}) {
    io::Process process = OpenWaiting();
    ASSERT_TRUE(process.Signal(signal));
    EXPECT_EQ(StatusOf(process), 128 + signal) << Said();
    ExpectStoppedWithItsRow();
    Do({"drop", "test", "--force"});
    static_cast<void>(io::RemoveFile(program_.directory().Path("running")));
  }
}

TEST_P(OpenKeep, InterruptsWhileItStopsDoNotHurryIt) {
  io::Process process = OpenWaiting();
  ASSERT_TRUE(process.Signal(SIGTERM));
  for (int i = 0; i < 50 && !*process.Wait(2ms); ++i) static_cast<void>(process.Signal(SIGINT));
  EXPECT_EQ(StatusOf(process), 128 + SIGTERM) << Said();
  ExpectStoppedWithItsRow();
}

TEST_P(OpenKeep, SignalsWhileItOpensLeaveABranchOrNone) {
  for (const int delay_ms : {0, 5, 10, 20, 40, 60, 80, 120, 200}) {
    io::Process process = StartPgstrata({"open", Source(), "--keep", "test", "-c", "select pg_sleep(5)"}, Output());
    std::this_thread::sleep_for(std::chrono::milliseconds(delay_ms));
    ASSERT_TRUE(process.Signal(SIGTERM));
    EXPECT_EQ(StatusOf(process), 128 + SIGTERM) << delay_ms << ": " << Said();
    EXPECT_EQ(LeftBehind(), "") << delay_ms;
    const auto shown = Branch({"show", "test", "--json"});
    if (shown.status.AsShell() == 0) {
      EXPECT_EQ(Shown("test", "state"), "stopped") << delay_ms;
      Do({"drop", "test", "--force"});
    }
  }
}

TEST_P(OpenKeep, OthersConnectButDoNotStopIt) {
  io::Process process = OpenWaiting();
  EXPECT_EQ(Sql("test", "select count(*) from t"), "1001");
  EXPECT_THAT(Refused(75, {"stop", "test"}), HasSubstr("open --keep test"));
  EXPECT_THAT(Refused(75, {"drop", "test", "--force"}), HasSubstr("open --keep test"));
  ASSERT_TRUE(process.Signal(SIGTERM));
  EXPECT_EQ(StatusOf(process), 128 + SIGTERM) << Said();
  ExpectStoppedWithItsRow();
}

TEST_P(OpenKeep, KilledCommandLeavesTheBranchRunning) {
  io::Process process = OpenWaiting();
  ASSERT_TRUE(process.Signal(SIGKILL));
  ASSERT_NE(StatusOf(process), -1);
  EXPECT_EQ(Shown("test", "state"), "running");
  EXPECT_EQ(Sql("test", "select count(*) from t"), "1001");
  Do({"stop", "test"});
  ExpectStoppedWithItsRow();
}

TEST_P(OpenKeep, KilledWorkerEndsTheSessionAndLosesNothing) {
  io::Process process = OpenWaiting();
  ASSERT_TRUE(KillAndWait(Worker("test")));
  EXPECT_EQ(StatusOf(process), 74) << Said();
  EXPECT_THAT(Said(), HasSubstr("ended while it was in use"));
  EXPECT_THAT(Said(), HasSubstr("pgstrata branch start test"));
  EXPECT_EQ(program_.Leftovers(), "");
  Do({"start", "test"});
  EXPECT_EQ(Sql("test", "select count(*) from t"), "1001");
}

}  // namespace
}  // namespace pgstrata::test
