// Traps 1 to 12: entering recovery.
#include <filesystem>
#include <fstream>

#include "foundation/base/text.h"
#include "foundation/io/file.h"
#include "tests/e2e/traps.h"

namespace pgstrata::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kTimeline = "select substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)";

TEST_F(Traps, Trap01BackupLabelIsWhereRecoveryBegins) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Psql(kThousandRows);
  const std::string backup = BackupByHand(
      cluster, Path("backup"), "insert into t select generate_series(1001, 2000); update t set i = -i; checkpoint");
  EXPECT_EQ(Query(backup, "select count(*), sum(i) from t"), "2000|-2001000");
  EXPECT_EQ(Query(backup, "select pg_stat_file('backup_label', true) is null"), "t") << "PostgreSQL has taken it";
  // What happens without it, so that the numbers above mean something.
  const std::string bare = Copy(backup, "bare");
  fs::remove(bare + "/backup_label");
  const auto lost = program_.Run({"open", bare, "-c", "select count(*), sum(i) from t", "--", "-XAtq"});
  EXPECT_NE(lost.standard_output, "2000|-2001000\n");
}

// The replay makes a link to where production has it.
TEST_F(Traps, Trap02ReplayOfCreateTablespaceDoesNotReachProduction) {
  PostgresCluster cluster;
  const std::string production = cluster.directory().MakeDirectory("space");
  cluster.Start();
  cluster.Psql("checkpoint");
  cluster.Psql("create tablespace space location '" + production + "'");
  cluster.Psql("create table t tablespace space as select i from generate_series(1, 1000) i");
  const std::string oid = cluster.Psql("select oid from pg_tablespace where spcname = 'space'");
  cluster.Kill();
  const std::string before = TreeState(production);
  for (const bool link_is_there : {true, false}) {
    const std::string copy = Copy(cluster.data_directory(), link_is_there ? "linked" : "not-linked");
    if (!link_is_there) fs::remove(copy + "/pg_tblspc/" + oid);
    const auto run = program_.Run({"open", copy, "-c", "select sum(i) from t"});
    EXPECT_NE(run.status.AsShell(), 0) << run.standard_output;
    EXPECT_THAT(run.standard_error, HasSubstr("the WAL to be replayed creates a tablespace"));
    EXPECT_EQ(TreeState(production), before);
  }
}

TEST_F(Traps, Trap02TablespaceMapIsRewritten) {
  PostgresCluster cluster;
  const std::string production = cluster.directory().MakeDirectory("space");
  cluster.Start();
  cluster.Psql("create tablespace space location '" + production + "'");
  cluster.Psql(
      "create table t tablespace space as select i from generate_series(1, 1000) i; create index t_i on t (i)");
  const std::string oid = cluster.Psql("select oid from pg_tablespace where spcname = 'space'");
  cluster.BaseBackup("tar", {"-Ft", "-X", "fetch"});
  const std::string backup = program_.directory().MakeDirectory("backup");
  test::Run({"tar", "-xf", cluster.directory().Path("tar/base.tar"), "-C", backup});
  fs::create_directories(backup + "/pg_tblspc/" + oid);
  GiveToPostgres(backup + "/pg_tblspc/" + oid);
  test::Run({"tar", "-xf", cluster.directory().Path("tar/" + oid + ".tar"), "-C", backup + "/pg_tblspc/" + oid});
  ASSERT_THAT(*io::ReadWholeFile(backup + "/tablespace_map"), HasSubstr(production));

  cluster.Psql("update t set i = 0; checkpoint");
  cluster.Stop();
  const std::string before = TreeState(production);
  EXPECT_EQ(Script(backup,
                   "sql 'select sum(i) from t'; "
                   "sql 'insert into t select 1; create table u tablespace space as select 1 i; cluster t using t_i'; "
                   "sql 'checkpoint; select sum(i) from t'; "
                   "find \"$MNT\" -type l | wc -l; "
                   "sql \"select pg_tablespace_location(oid) from pg_tablespace where spcname = 'space'\""),
            "500500\n500501\n0\npg_tblspc/" + oid);
  EXPECT_EQ(TreeState(production), before);
}

// An archive recovery stops at real directories in pg_tblspc, and so does a server that starts a standby.
TEST_F(Traps, Trap03DirectoriesInPgTblspcAreTaken) {
  PostgresCluster cluster({.configuration = {"allow_in_place_tablespaces = on"}});
  cluster.Start();
  cluster.Psql("create tablespace space location ''");
  cluster.Psql("create table t tablespace space as select i from generate_series(1, 1000) i");
  const std::string backup = BackupByHand(cluster, Path("backup"), "insert into t values (0)");
  cluster.Kill();
  EXPECT_EQ(Query(cluster.data_directory(), "select count(*) from t"), "1001");
  EXPECT_EQ(Query(backup, "insert into t values (0); select count(*) from t"), "1002");
  const std::string standby = StoppedStandby(backup, Path("standby"));
  EXPECT_EQ(Query(standby, "insert into t values (0); select count(*) from t"), "1002");
}

TEST_F(Traps, Trap04StaleSignalFilesAreRemoved) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Psql(kThousandRows);
  const std::string backup = cluster.BaseBackup("backup");
  for (const char* name : {"/standby.signal", "/recovery.signal"}) std::ofstream(backup + name) << "";
  std::ofstream(backup + "/recovery.conf") << "standby_mode = on\n";
  EXPECT_EQ(Query(backup,
                  "insert into t values (0); select pg_is_in_recovery(), count(*), "
                  "(select count(*) from pg_ls_dir('.') name where name ~ '^(standby|recovery)[.]') from t"),
            "f|1001|0");
  EXPECT_EQ(Query(backup, kTimeline), "00000001");
}

TEST_F(Traps, Trap05TimelineIsKept) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Psql(kThousandRows);
  for (const std::string method : {"stream", "fetch"}) {
    const std::string backup = cluster.BaseBackup(method, {"-X", method});
    EXPECT_EQ(Query(backup, kTimeline), "00000001");
    EXPECT_EQ(Query(backup, "select count(*) from pg_ls_waldir() where name like '%history'"), "0");
  }
}

TEST_F(Traps, Trap06RecoveryTargetOfAnIdleDatabaseIsDropped) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Psql(kThousandRows);
  const std::string backup = cluster.BaseBackup("backup");
  for (const char* target : {"recovery_target_time = '2100-01-01 00:00:00+00'", "recovery_target_xid = '4000000'"}) {
    const std::string copy = Copy(backup, "copy");
    Append(copy + "/postgresql.auto.conf", target);
    std::ofstream(copy + "/recovery.signal") << "";
    EXPECT_EQ(Query(copy,
                    "select count(*), pg_is_in_recovery(), current_setting('recovery_target_time'), "
                    "current_setting('recovery_target_xid') from t"),
              "1000|f||")
        << target;
    fs::remove_all(copy);
  }
}

TEST_F(Traps, Trap07ForeignTimelineIsNotFollowed) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Psql(kThousandRows);
  const std::string backup = BackupByHand(cluster, Path("backup"), "insert into t values (0)");
  cluster.Stop();
  // Somebody promoted another copy, which wrote on.
  const std::string standby = StoppedStandby(backup, Path("standby"));
  PostgresCluster promoted({.copy_of = standby});
  promoted.Start({"-c", "restore_command=", "-c", "wal_keep_size=1GB"});
  promoted.Psql("select pg_promote()");
  promoted.Psql("insert into t select generate_series(1, 1000)");
  promoted.Stop();
  const std::string archive = program_.directory().MakeDirectory("archive");
  for (const auto& entry : fs::directory_iterator(promoted.data_directory() + "/pg_wal")) {
    if (entry.is_regular_file()) fs::copy(entry.path(), archive + '/' + entry.path().filename().string());
  }
  ASSERT_TRUE(fs::exists(archive + "/00000002.history"));
  ASSERT_TRUE(fs::exists(archive + "/000000020000000000000003"));

  EXPECT_EQ(Query(backup, "select count(*) from t", {"--wal", archive}), "1001");
  EXPECT_EQ(Query(backup, kTimeline, {"--wal", archive}), "00000001");
  EXPECT_EQ(Query(standby, "select count(*) from t", {"--wal", archive}), "1001");
  for (const auto& source : {backup, standby}) {
    fs::copy(archive, source + "/pg_wal", fs::copy_options::skip_existing | fs::copy_options::recursive);
    EXPECT_EQ(Query(source, "select count(*) from t"), "1001");
  }
}

TEST_F(Traps, Trap08CommandsOfTheBackupNeverRun) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Psql(kThousandRows);
  const std::string backup = BackupByHand(cluster, Path("backup"), "insert into t values (0)");
  const std::string standby = StoppedStandby(backup, Path("standby"));
  const std::string marks = program_.directory().MakeDirectory("marks");
  fs::permissions(marks, fs::perms::all);
  for (const auto& source : {backup, standby}) {
    for (const std::string file : {"/postgresql.conf", "/postgresql.auto.conf"}) {
      Append(source + file, "archive_mode = always\nrecovery_min_apply_delay = '1d'");
      for (const std::string command : {"archive_cleanup_command", "recovery_end_command", "restore_command",
                                        "archive_command", "ssl_passphrase_command"}) {
        std::string line = command;
        line += " = 'touch ";
        Append(source + file, line + marks + '/' + command + "; false'");
      }
    }
    std::ofstream(source + "/recovery.signal") << "";
    EXPECT_EQ(Query(source, "select pg_switch_wal() is null; checkpoint; select count(*) from t"), "f\n1001");
    EXPECT_EQ(Settings(source, {"archive_cleanup_command", "recovery_end_command", "archive_mode"}),
              "archive_cleanup_command= recovery_end_command= archive_mode=off");
  }
  EXPECT_TRUE(fs::is_empty(marks)) << *fs::directory_iterator(marks);
}

TEST_F(Traps, Trap09RestoreCommandSaysThereIsNone) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Psql(kThousandRows);
  const std::string backup = BackupByHand(cluster, Path("backup"), "insert into t values (0)");
  const std::string standby = StoppedStandby(backup, Path("standby"));
  EXPECT_EQ(Settings(backup, {"restore_command"}), "restore_command=");
  EXPECT_EQ(Settings(standby, {"restore_command"}), "restore_command=false");
  // The server probed for histories, was told each time that there is none, and went on.
  const std::string log = Script(standby, "cat \"$PGHOST/server.log\"");
  EXPECT_THAT(log, HasSubstr("selected new timeline ID: 2"));
  EXPECT_THAT(log, HasSubstr("archive recovery complete"));
  EXPECT_THAT(log, Not(HasSubstr("waiting for WAL")));
}

TEST_F(Traps, Trap10RecoveryEndsWithoutATargetsAction) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Psql(kThousandRows);
  const std::string backup = BackupByHand(cluster, Path("backup"), "insert into t values (0)");
  for (const char* action : {"pause", "promote", "shutdown"}) {
    const std::string copy = Copy(backup, action);
    Append(copy + "/postgresql.auto.conf",
           std::string("hot_standby = on\nrecovery_target = immediate\nrecovery_target_action = ") + action);
    std::ofstream(copy + "/recovery.signal") << "";
    EXPECT_EQ(Query(copy, "insert into t values (0); select pg_is_in_recovery(), count(*) from t"), "f|1002");
    EXPECT_EQ(Settings(copy, {"recovery_target"}), "recovery_target=");
    const std::string log = Script(copy, "cat \"$PGHOST/server.log\"");
    EXPECT_THAT(log, Not(HasSubstr("recovery stopping")));
    EXPECT_THAT(log, Not(HasSubstr("archive recovery")));
  }
}

TEST_F(Traps, Trap11CapacitiesAreNotBelowThoseOfTheWal) {
  PostgresCluster cluster(
      {.configuration = {"max_connections = 300", "max_worker_processes = 40", "max_wal_senders = 20",
                         "max_prepared_transactions = 7", "max_locks_per_transaction = 200"}});
  cluster.Start();
  cluster.Psql(kThousandRows);
  const std::string backup = BackupByHand(cluster, Path("backup"), "insert into t values (0)");
  const std::string standby = StoppedStandby(backup, Path("standby"));
  for (const auto& source : {backup, standby}) {
    fs::remove(source + "/postgresql.conf");
    EXPECT_EQ(Query(source, "select count(*) from t"), "1001");
    EXPECT_EQ(Settings(source, {"max_connections", "max_worker_processes", "max_wal_senders",
                                "max_prepared_transactions", "max_locks_per_transaction"}),
              "max_connections=300 max_worker_processes=40 max_wal_senders=20 max_prepared_transactions=7 "
              "max_locks_per_transaction=200");
  }
}

TEST_F(Traps, Trap12MinimalWalRecoversAsAfterACrash) {
  PostgresCluster cluster({.configuration = {"wal_level = minimal", "max_wal_senders = 0", "wal_skip_threshold = 0"}});
  cluster.Start();
  // Not in the WAL at all: synced to its file at commit.
  cluster.Psql("begin; create table t (i int); copy t from program 'seq 1000'; commit");
  cluster.Psql("insert into t values (0)");
  cluster.Kill();
  EXPECT_EQ(Query(cluster.data_directory(), "select count(*) from t"), "1001");
  EXPECT_EQ(Settings(cluster.data_directory(), {"wal_level", "max_wal_senders"}),
            "wal_level=minimal max_wal_senders=0");
}

// Made so: a stopped primary's copy becomes a standby and stops again, with its minimum recovery point at the last
// checkpoint record. The primary goes on in the same segment under wal_level = minimal; that segment is all that the
// standby finds.
TEST_F(Traps, Trap12ArchiveRecoveryThroughMinimalWalIsAClearError) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Psql(kThousandRows);
  cluster.Stop();
  const std::string standby = StoppedStandby(cluster.data_directory(), Path("standby"));
  cluster.Start({"-c", "wal_level=minimal", "-c", "max_wal_senders=0"});
  cluster.Psql("insert into t values (0)");
  cluster.Stop();
  fs::remove_all(standby + "/pg_wal");
  CopyTree(cluster.data_directory() + "/pg_wal", standby + "/pg_wal");
  EXPECT_THAT(Failure(standby, 69), HasSubstr("WAL was generated with wal_level=minimal"));
}

}  // namespace
}  // namespace pgstrata::test
