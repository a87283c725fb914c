// Traps 19 to 24, 32 and 33: reaching production.
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "tests/e2e/traps.h"

namespace pgstrata::test {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

TEST_F(Traps, Trap19NothingIsArchived) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Psql(kThousandRows);
  const std::string backup = cluster.BaseBackup("backup");
  const std::string archive = program_.directory().MakeDirectory("archive");
  fs::permissions(archive, fs::perms::all);
  Append(backup + "/postgresql.conf", "archive_mode = always\narchive_command = 'cp %p " + archive +
                                          "/%f'\narchive_timeout = 1\n"
                                          "archive_library = 'basic_archive'\nbasic_archive.archive_directory = '" +
                                          archive + "'");
  // What production had still to archive.
  std::ofstream(backup + "/pg_wal/archive_status/000000010000000000000001.ready") << "";
  EXPECT_EQ(
      Query(backup,
            "select pg_switch_wal() is null; checkpoint; insert into t values (0); select pg_switch_wal() is null; "
            "checkpoint; select archived_count, failed_count, current_setting('archive_mode'), "
            "current_setting('archive_library'), "
            "(select count(*) from pg_stat_activity where backend_type = 'archiver') from pg_stat_archiver"),
      "f\nf\n0|0|off||0");
  EXPECT_TRUE(fs::is_empty(archive));
}

TEST_F(Traps, Trap20PrimaryAndStandbysAreForgotten) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Psql(kThousandRows);
  const std::string backup = BackupByHand(cluster, Path("backup"), "insert into t values (0)");
  const std::string standby = StoppedStandby(backup, Path("standby"));
  Listener primary;
  for (const auto& source : {backup, standby}) {
    std::ofstream(source + "/standby.signal") << "";
    Append(source + "/postgresql.auto.conf", "primary_conninfo = 'host=127.0.0.1 port=" + primary.port() +
                                                 "'\nprimary_slot_name = 'standby1'\n"
                                                 "synchronous_standby_names = '*'\nsynchronous_commit = remote_apply");
    // A commit that waited for a standby would never return. The network is there: nothing shall want it.
    EXPECT_EQ(Query(source,
                    "insert into t values (0); select current_setting('primary_conninfo'), "
                    "current_setting('primary_slot_name'), current_setting('synchronous_standby_names'), "
                    "count(*) from t",
                    {"--allow-network"}),
              "|||1002");
  }
  EXPECT_EQ(primary.TakeConnections(), 0);
}

TEST_F(Traps, Trap21ReplicationSlotsAreGone) {
  PostgresCluster cluster({.configuration = {"wal_level = logical"}});
  cluster.Start();
  cluster.Psql("select pg_create_physical_replication_slot('physical', true)");
  cluster.Psql("select pg_create_logical_replication_slot('logical', 'test_decoding')");
  cluster.Psql(kThousandRows);
  cluster.Stop();
  const std::string before = TreeState(cluster.data_directory());
  EXPECT_EQ(
      Query(cluster.data_directory(),
            "select (select count(*) from pg_replication_slots), (select count(*) from pg_ls_dir('pg_replslot'))"),
      "0|0");
  EXPECT_EQ(TreeState(cluster.data_directory()), before);
}

TEST_F(Traps, Trap22SubscriptionsNeitherConnectNorOwnASlot) {
  PostgresCluster cluster;
  Listener publisher;
  cluster.Start({"-c", "max_logical_replication_workers=0"});
  cluster.Psql("create database shop");
  cluster.Psql("create database closed");
  for (const char* database : {"postgres", "shop", "closed"}) {
    const std::string name = std::string("\"From ") + database + '"';
    cluster.Psql("create subscription " + name + " connection 'host=127.0.0.1 port=" + publisher.port() +
                     " dbname=x' publication p with (connect = false, slot_name = 'production')",
                 database);
    cluster.Psql("alter subscription " + name + " enable", database);
  }
  cluster.Psql("alter database closed allow_connections false");
  cluster.Stop();
  EXPECT_EQ(Query(cluster.data_directory(),
                  "select string_agg(subname || ':' || subenabled || ':' || coalesce(subslotname, 'none'), ' ' order "
                  "by subname) "
                  "from pg_subscription; select pg_sleep(1)::text; "
                  "select count(*) from pg_stat_activity where backend_type like 'logical replication%'",
                  {"--allow-network"}),
            "From closed:false:none From postgres:false:none From shop:false:none\n\n0");
  // Nor when it is dropped, which takes the publisher's slot along where a name is left.
  EXPECT_EQ(
      Query(cluster.data_directory(), "drop subscription \"From shop\"; select 1", {"--allow-network", "-d", "shop"}),
      "1");
  EXPECT_EQ(publisher.TakeConnections(), 0);
}

TEST_F(Traps, Trap23LibrariesThatActAreNotLoaded) {
  PostgresCluster cluster({.configuration = {"shared_preload_libraries = 'pg_stat_statements, pg_prewarm'"}});
  cluster.Start();
  cluster.Stop();
  const std::string sql =
      "select current_setting('shared_preload_libraries'), count(*) from pg_settings where name like 'pg_prewarm.%'";
  const auto run = Open(cluster.data_directory(), sql);
  EXPECT_EQ(run.standard_output, "pg_stat_statements|0\n");
  EXPECT_THAT(run.standard_error, AllOf(HasSubstr("\"pg_prewarm\""), HasSubstr("--with-preload pg_prewarm")));
  EXPECT_EQ(Query(cluster.data_directory(), sql, {"--with-preload", "pg_prewarm"}), "pg_stat_statements, pg_prewarm|2");
}

// Each takes a place that the start has to find room for, and pg_control does not say for how many.
TEST_F(Traps, Trap22SubscribersWithManyOriginsStart) {
  PostgresCluster cluster;
  cluster.Start({"-c", "max_replication_slots=100"});
  cluster.Psql(kThousandRows);
  cluster.Psql(
      "select pg_replication_origin_create('origin ' || i), pg_replication_origin_advance('origin ' || i, '0/1') "
      "from generate_series(1, 50) i");
  cluster.Psql("checkpoint");
  EXPECT_EQ(Query(cluster.BaseBackup("backup"), "select count(*) from pg_replication_origin_status"), "50");
}

// The program reads what COPY writes: else COPY may fail because it has ended already.
TEST_F(Traps, Trap23TheServerHasNoNetwork) {
  PostgresCluster cluster;
  Listener production;
  cluster.Start();
  cluster.Psql("create extension dblink");
  cluster.Stop();
  const std::string connect =
      "create function pg_temp.reaches(statement text) returns bool language plpgsql as $$ begin execute statement; "
      "return true; exception when others then return false; end $$; "
      "select pg_temp.reaches($$select dblink_connect('host=127.0.0.1 connect_timeout=2 port=" +
      production.port() +
      "')$$), pg_temp.reaches($$copy (select 1) to program 'bash -c \"cat > /dev/null; echo > /dev/tcp/127.0.0.1/" +
      production.port() + "\"'$$)";
  EXPECT_EQ(Query(cluster.data_directory(), connect), "f|f");
  EXPECT_EQ(production.TakeConnections(), 0);
  // The same with a network: what it would have reached.
  EXPECT_EQ(Query(cluster.data_directory(), connect, {"--allow-network"}), "f|t");
  EXPECT_EQ(production.TakeConnections(), 2);
}

TEST_F(Traps, Trap23DblinkWithoutAHostStaysInside) {
  PostgresCluster production;
  production.Start();
  production.Psql("create extension dblink");
  const std::string backup = production.BaseBackup("backup");
  const io::Environment towards_production = {{"PGHOST", production.socket_directory()},
                                              {"PGPORT", std::to_string(production.port())}};
  EXPECT_EQ(Query(backup,
                  "select there = current_setting('data_directory') from dblink('dbname=postgres user=postgres', "
                  "'show data_directory') as answer(there text)",
                  {}, towards_production),
            "t");
}

// Root without CAP_SYS_ADMIN stands for a machine that does not allow it; or, for who is not root, a user namespace
// with no room for network namespaces (after chroot(2), as in a bare root, there are no user namespaces).
TEST_F(Traps, Trap23DoctorSaysWhetherTheNetworkCanBeTakenAway) {
  EXPECT_THAT(program_.Run({"doctor"}).standard_output, HasSubstr("opened servers run without one"));
  const std::vector<std::string> as_root = {"setpriv", "--bounding-set=-sys_admin", PgstrataProgram::Path(), "doctor"};
  const std::vector<std::string> as_user = {"unshare",
                                            "--user",
                                            "--map-root-user",
                                            "/bin/sh",
                                            "-ec",
                                            "echo 0 > /proc/sys/user/max_net_namespaces; exec \"$0\" doctor",
                                            PgstrataProgram::Path()};
  const auto without =
      io::RunAndCapture({.argv = ::geteuid() == 0 ? as_root : as_user, .environment = program_.Environment()});
  ASSERT_TRUE(without.has_value()) << without.error().message();
  EXPECT_THAT(without->standard_output, HasSubstr("opened servers share this machine's")) << without->standard_error;
}

TEST_F(Traps, Trap24OnlyItsOwnerReachesTheServer) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Psql("create role app login password 'secret'");
  const std::string password = cluster.Psql("select rolpassword from pg_authid where rolname = 'app'");
  cluster.Stop();
  const std::string& source = cluster.data_directory();
  std::ofstream(source + "/pg_hba.conf") << "host all all 0.0.0.0/0 trust\nlocal all all scram-sha-256\n";
  Append(source + "/postgresql.conf", "listen_addresses = '*'\nunix_socket_permissions = 0777");
  EXPECT_EQ(Query(source,
                  "select current_setting('listen_addresses'), (select count(*) from pg_hba_file_rules "
                  "where type <> 'local'), (select rolpassword from pg_authid where rolname = 'app')"),
            "|0|" + password);
  EXPECT_EQ(Script(source, "stat -c %a \"$PGHOST\""), "700");
  // Nobody is asked for a password who came that far.
  EXPECT_EQ(Query(source, "select current_user", {"-U", "app"}), "app");
  if (::geteuid() == 0) {
    EXPECT_EQ(Script(source,
                     "runuser -u nobody -- \"$PG_BIN/psql\" -h \"$PGHOST\" -U app -d postgres -c 'select 1' 2>&1 "
                     "| grep -c 'Permission denied'"),
              "1");
  }
}

TEST_F(Traps, Trap32LinksIntoProductionAreNeitherShownNorWritten) {
  const TemporaryDirectory elsewhere;
  PostgresCluster cluster({.initdb = {"--waldir=" + elsewhere.Path("wal")}});
  const std::string& source = cluster.data_directory();
  const std::string space = elsewhere.MakeDirectory("space");
  const std::string log = elsewhere.MakeDirectory("log");
  std::ofstream(log + "/old.log") << "old\n";
  fs::create_symlink(log, source + "/log");
  fs::rename(source + "/postgresql.conf", elsewhere.Path("postgresql.conf"));
  fs::create_symlink(elsewhere.Path("postgresql.conf"), source + "/postgresql.conf");
  cluster.Start();
  cluster.Psql("create tablespace space location '" + space + "'");
  cluster.Psql("create table t tablespace space as select i from generate_series(1, 1000) i");
  cluster.Stop();
  const std::string before = TreeState(elsewhere.path());
  const std::string own = TreeState(source);
  EXPECT_EQ(Script(source,
                   "sql \"update t set i = 0; select pg_switch_wal() is null\"; sql 'checkpoint'; "
                   "sql \"copy (select 1) to program 'cat > log/new.log'; "
                   "copy (select 1) to program 'cat > postgresql.conf'; select pg_read_file('log/old.log')\"; "
                   "sql \"select string_agg(name, ' ' order by name) from pg_ls_dir('log') name\"; "
                   "find \"$MNT\" -type l | wc -l; "
                   "sql \"copy (select 1) to program 'readlink pg_wal log postgresql.conf pg_tblspc/*'\" 2>&1 "
                   "| grep -c 'child process exited'"),
            "f\nold\n\nnew.log old.log\n0\n1");
  EXPECT_EQ(TreeState(elsewhere.path()), before);
  EXPECT_EQ(TreeState(source), own);
}

TEST_F(Traps, Trap33InheritedLibpqVariablesDoNotLeadAway) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Stop();
  Listener production;
  const std::string home = program_.directory().MakeDirectory("user");
  const std::string service = "[production]\nhost=127.0.0.1\nhostaddr=127.0.0.1\nport=" + production.port() +
                              "\ndbname=production\nconnect_timeout=3\n";
  io::Environment environment = {{"HOME", home},
                                 {"PGHOST", "127.0.0.1"},
                                 {"PGHOSTADDR", "127.0.0.1"},
                                 {"PGPORT", production.port()},
                                 {"PGSERVICE", "production"},
                                 {"PGSERVICEFILE", program_.directory().WriteFile("service.conf", service)},
                                 {"PGDATABASE", "production"},
                                 {"PGUSER", "production"},
                                 {"PGOPTIONS", "-c nonsense=1"},
                                 {"PGSSLMODE", "require"},
                                 {"PGGSSENCMODE", "require"},
                                 {"PGCHANNELBINDING", "require"},
                                 {"PGTARGETSESSIONATTRS", "standby"},
                                 {"PGREQUIREPEER", "production"},
                                 {"PGCLUSTER", "15/production"},
                                 {"PGCONNECT_TIMEOUT", "3"}};
  std::ofstream(home + "/.pg_service.conf") << service;
  const std::string& source = cluster.data_directory();
  EXPECT_EQ(Query(source, "select current_user, current_database(), inet_server_addr() is null", {}, environment),
            "postgres|postgres|t");
  EXPECT_EQ(Script(source, "env | grep -E '^PG(HOSTADDR|SERVICE|SSL|SYSCONF|TARGET|REQUIRE)' || sql 'select 42'", {},
                   environment),
            "42");
  // A shell: $SHELL, here one that runs psql.
  environment["SHELL"] = Path("shell");
  std::ofstream(Path("shell")) << "#!/bin/sh\nexec \"$PG_BIN/psql\" -XAtqc 'select 43'\n";
  fs::permissions(Path("shell"), fs::perms::owner_all | fs::perms::others_read | fs::perms::others_exec);
  const auto shell = program_.Run({"open", source, "--shell"}, environment);
  EXPECT_EQ(shell.standard_output, "43\n") << shell.standard_error;
  EXPECT_EQ(production.TakeConnections(), 0);
}

}  // namespace
}  // namespace pgstrata::test
