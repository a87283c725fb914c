// PostgreSQL 14 to 18: each opens what its own server left, stopped, crashed, and as an online backup.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
