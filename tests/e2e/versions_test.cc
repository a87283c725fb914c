// PostgreSQL 14 to 18: each opens what its own server left, stopped, crashed, and as an online backup, and keeps
// branches of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "foundation/base/text.h"
#include "foundation/codec/json.h"
#include "foundation/io/directory.h"
#include "tests/e2e/pgstrata_program.h"

namespace pgstrata::test {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// `./dev setup` puts 17 and 18 into build/servers, with --long 14 and 16 too.
std::vector<std::string> MajorVersions() {
  std::vector<std::string> versions = {"17", "18"};
  if (std::getenv("PGSTRATA_LONG") != nullptr) versions.insert(versions.end(), {"14", "16"});
  return versions;
}

class Versions : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(io::Exists(Bin() + "/postgres")) << "run ./dev setup: it fetches the servers of other versions";
    RunShell("$BIN/initdb -D data -U postgres -A trust --no-sync > initdb.log");
    Start();
    Sql("create table t as select i, 'row ' || i as text from generate_series(1, 5000) i; create index on t (text)");
  }
  void TearDown() override {
    RunShell("[ ! -e data/postmaster.pid ] || $BIN/pg_ctl -D data -m immediate -w stop > stop.log");
  }

  static std::string Bin() { return std::string(PGSTRATA_SERVERS_DIR) + '/' + GetParam() + "/bin"; }
  [[nodiscard]] std::string Data() const { return directory_.Path("data"); }

  std::string RunShell(const std::string& script) const {
    return test::Run({"/bin/sh", "-ec", "cd '" + directory_.path() + "'\n" + script}, {{"BIN", Bin()}});
  }
  void Start() const {
    RunShell("$BIN/pg_ctl -D data -w -l server.log -o \"-c listen_addresses='' -k '" + directory_.path() +
             "' -c fsync=off\" start > start.log");
  }
  void Stop() const { RunShell("$BIN/pg_ctl -D data -m fast -w stop > stop.log"); }
  // psql of 15 talks to all versions.
  void Sql(const std::string& script) const {
    RunShell("cat > script.sql <<'END'\n" + script + "\nEND\n" + PostgresProgram("psql") +
             " -XAtq -v ON_ERROR_STOP=1 -h '" + directory_.path() + "' -U postgres -f script.sql postgres");
  }
  [[nodiscard]] std::string Query(const std::string& source, const std::string& sql) const {
    return program_.Query(source, sql, {"--pg-bin", Bin()});
  }

  // `pgstrata branch ARGUMENTS...`, which succeeds.
  std::string Branch(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "branch");
    const auto run = program_.Run(arguments);
    EXPECT_EQ(run.status.AsShell(), 0) << arguments[1] << ": " << run.standard_error;
    return run.standard_output;
  }
  std::string BranchQuery(const std::string& name, const std::string& sql) const {
    return std::string(TrimWhitespace(Branch({"psql", name, "--", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql})));
  }

  TemporaryDirectory directory_;
  PgstrataProgram program_;
};

TEST_P(Versions, StoppedDataDirectoryOpens) {
  Stop();
  const std::string before = TreeState(Data());
  EXPECT_EQ(Query(Data(), "select count(*), max(text) from t"), "5000|row 999");
  EXPECT_THAT(Query(Data(), "show server_version"), StartsWith(GetParam()));
  EXPECT_EQ(TreeState(Data()), before);
  EXPECT_EQ(program_.Leftovers(), "");
}

TEST_P(Versions, CrashedDataDirectoryOpens) {
  Sql("insert into t select i, 'late' from generate_series(1, 10) i");
  RunShell("$BIN/pg_ctl -D data -m immediate -w stop > stop.log");
  EXPECT_EQ(Query(Data(), "select count(*) from t"), "5010");
  EXPECT_EQ(program_.Leftovers(), "");
}

// The backup API by hand, as scripts use it: the label comes back from pg_backup_stop, the last WAL after it.
TEST_P(Versions, OnlineBackupByTheBackupApiOpens) {
  const bool old_names = GetParam() == "14";
  const std::string begin = old_names ? "pg_start_backup('hand', true, false)" : "pg_backup_start('hand', true)";
  const std::string end = old_names ? "pg_stop_backup(false, false)" : "pg_backup_stop(false)";
  Sql("select " + begin +
      ";\n\\! cp -a data backup\ninsert into t values (0, 'during');\n\\o backup/backup_label\nselect labelfile from " +
      end + ";\n\\o\n");
  RunShell("cp -a data/pg_wal/0* backup/pg_wal/");
  EXPECT_EQ(Query(directory_.Path("backup"), "select count(*) from t"), "5001");
  const auto info = program_.Run({"info", directory_.Path("backup"), "--pg-bin", Bin()});
  EXPECT_THAT(info.standard_output, HasSubstr("online backup"));
  EXPECT_THAT(info.standard_output, HasSubstr("can be opened here   yes"));
  EXPECT_EQ(program_.Leftovers(), "");
}

TEST_P(Versions, KeptBranchHasItsRowsAfterStopAndStart) {
  Stop();
  const std::string before = TreeState(Data());
  Branch({"create", "kept", "--from", Data(), "--pg-bin", Bin(), "--start"});
  EXPECT_THAT(BranchQuery("kept", "show server_version"), StartsWith(GetParam()));
  BranchQuery("kept", "delete from t where i > 10; create table u as select i from generate_series(1, 70) i");
  Branch({"stop", "kept"});
  EXPECT_EQ(program_.Leftovers(), "");
  Branch({"start", "kept"});
  EXPECT_EQ(BranchQuery("kept", "select (select count(*) from t), (select count(*) from u)"), "10|70");
  Branch({"stop", "kept"});
  Branch({"create", "child", "--from", "kept", "--start"});
  EXPECT_EQ(BranchQuery("child", "insert into t values (0, 'child'); select count(*) from t"), "11");
  Branch({"drop", "kept", "--force"});
  Branch({"restart", "child"});
  EXPECT_EQ(BranchQuery("child", "select count(*) from t"), "11");
  Branch({"drop", "child", "--force"});
  EXPECT_EQ(TreeState(Data()), before);
  EXPECT_EQ(program_.Leftovers(), "");
}

TEST_P(Versions, KeptBranchOfACrashedDirectoryRecoversOnceAndSurvivesACrash) {
  Sql("insert into t select i, 'late' from generate_series(1, 10) i");
  RunShell("$BIN/pg_ctl -D data -m immediate -w stop > stop.log");
  Branch({"create", "kept", "--from", Data(), "--pg-bin", Bin(), "--start"});
  EXPECT_EQ(BranchQuery("kept", "select count(*) from t"), "5010");
  BranchQuery("kept", "delete from t where text = 'late'");
  const auto shown = codec::ParseJson(Branch({"show", "kept", "--json"}));
  ASSERT_TRUE(shown.has_value());
  ASSERT_TRUE(KillAndWait((*shown)["server_pid"].get<pid_t>()));
  Branch({"start", "kept"});
  EXPECT_EQ(BranchQuery("kept", "select count(*) from t"), "5000");
  Branch({"drop", "kept", "--force"});
  EXPECT_EQ(program_.Leftovers(), "");
}

TEST_P(Versions, ServerOfAnotherVersionIsRefused) {
  Stop();
  const auto run = program_.Run({"open", Data(), "--pg-bin", PostgresBin(), "-c", "select 1"});
  EXPECT_EQ(run.status.AsShell(), 65) << run.standard_error;
  EXPECT_THAT(run.standard_error, HasSubstr("PostgreSQL " + GetParam()));
}

INSTANTIATE_TEST_SUITE_P(PostgreSQL, Versions, ::testing::ValuesIn(MajorVersions()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace pgstrata::test
