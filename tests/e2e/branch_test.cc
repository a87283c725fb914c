// Kept branches: what a user does with them.
#include <poll.h>
#include <unistd.h>

#include <array>
#include <thread>

#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "tests/e2e/kept_branches.h"

namespace pgstrata::test {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

INSTANTIATE_TEST_SUITE_P(Branch, KeptBranches, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "WithoutRoot" : "AsUs"; });

TEST_P(KeptBranches, RowsAreThereAfterStopAndStart) {
  const std::string before = TreeState(Source());
  Do({"create", "test", "--from", Source()});
  EXPECT_EQ(Shown("test", "state"), "stopped");
  Do({"start", "test"});
  EXPECT_EQ(Sql("test", "select count(*) from t"), "1000");
  Sql("test", "insert into t values (1001, 'mine'); create table u as select 1 as a");
  EXPECT_EQ(Shown("test", "state"), "running");
  EXPECT_EQ(Sql("test", "show fsync"), "on");
  EXPECT_EQ(Sql("test", "show archive_mode"), "off");
  Do({"stop", "test"});
  EXPECT_EQ(Shown("test", "state"), "stopped");
  EXPECT_EQ(program_.Leftovers(), "");
  Do({"start", "test"});
  EXPECT_EQ(Sql("test", "select count(*) from t"), "1001");
  EXPECT_EQ(Sql("test", "select a from u"), "1");
  EXPECT_THAT(Branch({"start", "test"}).standard_error, HasSubstr("runs already"));
  Do({"restart", "test"});
  EXPECT_EQ(Sql("test", "select count(*) from t"), "1001");
  EXPECT_EQ(TreeState(Source()), before);
}

// A script that starts a branch under flock(1), or whose output somebody waits for to end.
TEST_P(KeptBranches, WhatTheCallerHadOpenIsNotHeldByARunningBranch) {
  Do({"create", "test", "--from", Source()});
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  const io::UniqueFd reading(ends[0]);
  io::UniqueFd writing(ends[1]);
  Do({"start", "test"});
  writing.Reset();
  pollfd polled{reading.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&polled, 1, 0), 1) << "somebody still has the pipe's other end";
  EXPECT_EQ(Shown("test", "state"), "running");
}

TEST_P(KeptBranches, OnlineBackupIsRecoveredOnceAndKept) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Psql("create table t as select i from generate_series(1, 1000) i");
  const std::string backup = cluster.BaseBackup("backup");
  Do({"create", "test", "--from", backup, "--start"});
  Sql("test", "delete from t where i > 10");
  Do({"restart", "test"});
  EXPECT_EQ(Sql("test", "select count(*) from t"), "10");
}

TEST_P(KeptBranches, BranchOfABranchSharesAndIsApart) {
  Do({"create", "parent", "--from", Source(), "--start"});
  Sql("parent", "create table shared as select 1 as a");
  EXPECT_THAT(Refused(75, {"create", "child", "--from", "parent"}), HasSubstr("branch stop parent"));
  Do({"stop", "parent"});
  Do({"create", "child", "--from", "parent"});
  EXPECT_EQ(Shown("child", "parent"), "parent");
  Do({"start", "parent"});
  Do({"start", "child"});
  EXPECT_EQ(Sql("child", "select a from shared"), "1");
  Sql("child", "update shared set a = 2; create table of_child ()");
  Sql("parent", "update shared set a = 3; create table of_parent ()");
  Do({"restart", "parent"});
  Do({"restart", "child"});
  EXPECT_EQ(Sql("child", "select a from shared"), "2");
  EXPECT_EQ(Sql("parent", "select a from shared"), "3");
  EXPECT_EQ(Sql("child", "select to_regclass('of_parent') is null"), "t");
  EXPECT_EQ(Sql("parent", "select to_regclass('of_child') is null"), "t");
}

TEST_P(KeptBranches, ParentIsDroppedWhileItsChildLives) {
  Do({"create", "parent", "--from", Source(), "--start"});
  Sql("parent", "create table shared as select 1 as a");
  Do({"stop", "parent"});
  Do({"create", "child", "--from", "parent"});
  Do({"start", "child"});
  Do({"drop", "parent", "--force"});
  EXPECT_EQ(Shown("child", "parent"), "");
  EXPECT_EQ(Sql("child", "select a from shared"), "1");
  Do({"restart", "child"});
  EXPECT_EQ(Sql("child", "select a from shared"), "1");
  EXPECT_EQ(LeftBehind(), "");
}

// Nothing is written between: one more layer would only make reading slower.
TEST_P(KeptBranches, ChildrenOfOneStateShareItsLayers) {
  Do({"create", "parent", "--from", Source()});
  for (const char* name : {"a", "b", "c"}) Do({"create", name, "--from", "parent"});
  EXPECT_EQ(Shown("parent", "layers"), "2");
  EXPECT_EQ(Shown("c", "layers"), "2");
}

TEST_P(KeptBranches, ResetTakesItBackToItsCreation) {
  Do({"create", "parent", "--from", Source(), "--start"});
  Sql("parent", "create table shared as select 1 as a");
  Do({"stop", "parent"});
  Do({"create", "child", "--from", "parent"});
  for (const char* name : {"parent", "child"}) {
    Do({"start", name});
    Sql(name, "create table more ()");
    EXPECT_THAT(Refused(64, {"reset", name}), HasSubstr("--force"));
    Do({"reset", name, "--force"});
    EXPECT_EQ(Shown(name, "state"), "running") << "a branch that ran runs again";
    EXPECT_EQ(Sql(name, "select to_regclass('more') is null"), "t") << name;
    EXPECT_EQ(Sql(name, "select count(*) from t"), "1000") << name;
  }
  EXPECT_EQ(Sql("child", "select a from shared"), "1");
  EXPECT_EQ(Sql("parent", "select to_regclass('shared') is null"), "t");
  EXPECT_EQ(LeftBehind(), "");
}

TEST_P(KeptBranches, NamesAreTakenFreedAndChanged) {
  Do({"create", "one", "--from", Source()});
  EXPECT_THAT(Refused(71, {"create", "one", "--from", Source()}), HasSubstr("\"one\""));
  Do({"create", "two", "--from", Source(), "--start"});
  Refused(71, {"rename", "two", "one"});
  Do({"rename", "two", "three"});
  EXPECT_EQ(Sql("three", "select 1"), "1");
  EXPECT_THAT(Refused(66, {"start", "two"}), HasSubstr("there is no branch \"two\""));
  EXPECT_THAT(Refused(64, {"drop", "one"}), HasSubstr("--force"));
  Do({"drop", "one", "--force"});
  Do({"create", "one", "--from", Source()});
  Refused(64, {"create", "latest", "--from", Source()});
}

TEST_P(KeptBranches, SourceThatChangedIsRefusedByName) {
  const std::string source = program_.directory().Path("copy");
  CopyTree(Source(), source);
  Do({"create", "test", "--from", source, "--start"});
  Do({"stop", "test"});
  test::Run({"/bin/sh", "-c", "echo 'shared_buffers = 1GB' >>" + source + "/postgresql.conf"});
  const std::string said = Refused(65, {"start", "test"});
  EXPECT_THAT(said, HasSubstr(source + "/postgresql.conf"));
  EXPECT_THAT(said, HasSubstr("the source changed"));
}

TEST_P(KeptBranches, MovedSourceIsTakenFromWhereItLies) {
  const std::string source = program_.directory().Path("copy");
  CopyTree(Source(), source);
  Do({"create", "test", "--from", source, "--start"});
  Sql("test", "insert into t values (1001, 'mine')");
  Do({"stop", "test"});
  const std::string moved = program_.directory().Path("moved");
  CopyTree(source, moved);
  test::Run({"/bin/rm", "-r", source});
  EXPECT_THAT(Refused(66, {"start", "test"}), HasSubstr("branch relocate test"));
  PostgresCluster other({.own_identity = true});
  EXPECT_THAT(Refused(65, {"relocate", "test", other.data_directory()}), HasSubstr("not the same backup"));
  Do({"relocate", "test", moved});
  Do({"start", "test"});
  EXPECT_EQ(Sql("test", "select count(*) from t"), "1001");
}

TEST_P(KeptBranches, ScriptRunsBeforeAnybodyAndBelongsToTheBranch) {
  const std::string mask = program_.directory().WriteFile("mask.sql", "update t set text = 'masked';\n");
  Do({"create", "test", "--from", Source(), "--run", mask});
  Do({"start", "test"});
  EXPECT_EQ(Sql("test", "select distinct text from t"), "masked");
  Sql("test", "insert into t values (1, 'mine')");
  Do({"reset", "test", "--force"});
  EXPECT_EQ(Sql("test", "select distinct text from t"), "masked");
}

TEST_P(KeptBranches, ScriptThatFailsLeavesNoBranch) {
  const std::string mask = program_.directory().WriteFile("mask.sql", "update nonsense set text = 'masked';\n");
  EXPECT_THAT(Refused(65, {"create", "test", "--from", Source(), "--run", mask}), HasSubstr("nonsense"));
  EXPECT_EQ(Do({"list"}), "");
  EXPECT_EQ(LeftBehind(), "");
  EXPECT_EQ(program_.Leftovers(), "");
}

TEST_P(KeptBranches, ChildThatCannotBeMadeLeavesTheParentAsItWas) {
  Do({"create", "parent", "--from", Source()});
  const std::string before = Do({"show", "parent", "--json"});
  const std::string mask = program_.directory().WriteFile("mask.sql", "update nonsense set text = 'masked';\n");
  Refused(65, {"create", "child", "--from", "parent", "--run", mask});
  EXPECT_EQ(Do({"show", "parent", "--json"}), before);
  EXPECT_EQ(LeftBehind(), "");
  Do({"create", "child", "--from", "parent"});
  for (const char* name : {"parent", "child"}) {
    Do({"start", name});
    EXPECT_EQ(Sql(name, "select count(*) from t"), "1000");
  }
}

TEST_P(KeptBranches, EmptyClusterIsAsourceThatLivesAsLongAsItsBranches) {
  Do({"create", "test", "--empty", "--pg", "15", "--start"});
  Sql("test", "create table t as select 1 as a");
  Do({"stop", "test"});
  Do({"create", "child", "--from", "test", "--start"});
  Do({"drop", "test", "--force"});
  EXPECT_EQ(Sql("child", "select a from t"), "1");
}

TEST_P(KeptBranches, SettingsAreKeptAndThoseOfSafetyAreRefused) {
  Do({"create", "test", "--from", Source()});
  Do({"set", "test", "Work_Mem=7MB", "shared_buffers=16MB"});
  EXPECT_EQ(Do({"set", "test"}), "shared_buffers=16MB\nwork_mem=7MB\n");
  for (const char* setting : {"archive_mode=on", "fsync=off", "listen_addresses=*", "primary_conninfo=x"}) {
    EXPECT_THAT(Refused(64, {"set", "test", setting}), HasSubstr("keeps the branch safe")) << setting;
  }
  Do({"start", "test"});
  EXPECT_EQ(Sql("test", "show work_mem"), "7MB");
  // Nor does what is inside reach them.
  Do({"psql", "test", "--", "-qc", "alter system set archive_mode = on", "-c", "alter system set work_mem = '9MB'"});
  Do({"restart", "test"});
  EXPECT_EQ(Sql("test", "show archive_mode"), "off");
  EXPECT_EQ(Sql("test", "show work_mem"), "9MB");
  Do({"set", "test", "--unset", "shared_buffers"});
  Do({"restart", "test"});
  EXPECT_EQ(Sql("test", "show shared_buffers"), "128MB");
}

TEST_P(KeptBranches, EnvironmentLeadsToIt) {
  Do({"create", "test", "--from", Source()});
  EXPECT_THAT(Refused(69, {"env", "test"}), HasSubstr("branch start test"));
  EXPECT_THAT(Refused(69, {"psql", "test"}), HasSubstr("branch start test"));
  Do({"start", "test"});
  const std::string environment = Do({"env", "test"});
  EXPECT_EQ(test::Run({"/bin/sh", "-c",
                       "PGHOSTADDR=192.0.2.1; export PGHOSTADDR; " + environment + '"' + PostgresProgram("psql") +
                           "\" -XAtc 'select count(*) from t'"}),
            "1000\n");
  EXPECT_THAT(Do({"logs", "test"}), HasSubstr("ready to accept connections"));
}

TEST_P(KeptBranches, ChangesAreBoundedByMaxSize) {
  Do({"create", "test", "--from", Source(), "--max-size", "30MB", "--start"});
  static_cast<void>(
      Branch({"psql", "test", "--", "-XAtq", "-c",
              "create table big as select md5(i::text) from generate_series(1, 700000) i", "-c", "checkpoint"}));
  EXPECT_THAT(Do({"logs", "test"}), HasSubstr("No space left on device"));
}

TEST_P(KeptBranches, SizesAndOriginsAreListed) {
  Do({"create", "test", "--from", Source(), "--start"});
  const std::string listed = Do({"list"});
  EXPECT_THAT(listed, HasSubstr("test"));
  EXPECT_THAT(listed, HasSubstr(Source()));
  EXPECT_GT(ParseDecimal(Shown("test", "logical_bytes")).value_or(0), 20'000'000U);
  EXPECT_GT(ParseDecimal(Shown("test", "own_bytes")).value_or(0), 0U);
  EXPECT_LT(ParseDecimal(Shown("test", "own_bytes")).value_or(0), 60'000'000U);
  EXPECT_THAT(Do({"show", "test"}), HasSubstr("running"));
}

TEST_P(KeptBranches, ManyAtOnceSucceedOrSayWhoWasInTheWay) {
  Do({"create", "a", "--from", Source()});
  Do({"create", "b", "--from", Source()});
  const std::vector<std::vector<std::string>> wanted = {{"create", "c", "--from", Source()},
                                                        {"start", "a"},
                                                        {"create", "c", "--from", "b"},
                                                        {"drop", "a", "--force"},
                                                        {"start", "b"},
                                                        {"reset", "b", "--force"},
                                                        {"create", "a", "--from", Source()},
                                                        {"start", "a"},
                                                        {"stop", "b"},
                                                        {"drop", "c", "--force"},
                                                        {"reset", "a", "--force"},
                                                        {"create", "d", "--from", "a"},
                                                        {"start", "b"},
                                                        {"drop", "b", "--force"},
                                                        {"create", "b", "--from", Source()},
                                                        {"start", "c"},
                                                        {"stop", "a"},
                                                        {"rename", "a", "e"},
                                                        {"reset", "c", "--force"},
                                                        {"start", "d"}};
  std::vector<io::Process> running;
  running.reserve(wanted.size());
  for (size_t i = 0; i < wanted.size(); ++i) {
    running.push_back(StartBranch(wanted[i], program_.directory().Path("out" + std::to_string(i))));
  }
  for (size_t i = 0; i < running.size(); ++i) {
    const auto status = running[i].Wait(kPatience);
    ASSERT_TRUE(status && *status) << wanted[i][0] << ' ' << wanted[i][1];
    const std::string said = io::ReadWholeFile(program_.directory().Path("out" + std::to_string(i))).value_or("");
    const int code = (*status)->AsShell();
    const bool explained = (code == 75 && (said.contains("is at work on branch") || said.contains("branch stop"))) ||
                           (code == 71 && said.contains("already")) || (code == 66 && said.contains("there is no "));
    EXPECT_TRUE(code == 0 || explained) << wanted[i][0] << ' ' << wanted[i][1] << ": " << code << ' ' << said;
  }
  EXPECT_EQ(LeftBehind(), "");
}

}  // namespace
}  // namespace pgstrata::test
