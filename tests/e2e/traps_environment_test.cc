// Traps 25 to 31, 36 and 42: the machine, the configuration and the sessions.
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "tests/e2e/traps.h"

namespace pgstrata::test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(Traps, Trap25TheMountBelongsToTheServersUser) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Psql(kThousandRows);
  cluster.Stop();
  const std::string copy = Copy(cluster.data_directory(), "copy");
  const std::string server = PostgresUser() ? PostgresUser()->name : io::CurrentUser()->name;
  for (const auto mode : {fs::perms(0755), fs::perms(0700), fs::perms(0750)}) {
    fs::permissions(copy, mode);
    if (::geteuid() == 0) {
      ASSERT_EQ(::chown(copy.c_str(), 0, 0), 0);
    }
    EXPECT_EQ(Script(copy, "stat -c '%U %a' \"$MNT\"; stat -c '%U' \"$MNT/global/pg_control\""),
              server + (mode == fs::perms(0750) ? " 750\n" : " 700\n") + server);
  }
  EXPECT_THAT(Failure(copy, ::geteuid() == 0 ? 64 : 0, {"--user", "root"}), HasSubstr("root"));
}

TEST_F(Traps, Trap25AnOrdinaryUserOpensToo) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Psql(kThousandRows);
  const std::string backup = cluster.BaseBackup("backup");
  const auto run = TryRun({PgstrataProgram::Path(), "open", backup, "-c", "insert into t values (0)", "-c",
                           "select count(*), current_setting('fsync') from t", "--", "-XAtq"},
                          {{"PGSTRATA_HOME", program_.home()}, {"PG_BIN", PostgresBin()}});
  EXPECT_EQ(run.standard_output, "1001|off\n") << run.standard_error;
  EXPECT_EQ(program_.Leftovers(), "");
}

TEST_F(Traps, Trap26StaleServerFilesDoNotStopIt) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Psql(kThousandRows);
  const std::string files = *io::ReadWholeFile(cluster.data_directory() + "/postmaster.pid");
  cluster.Stop();
  const std::string& source = cluster.data_directory();
  // The number is another process's by now, which PostgreSQL would take for a server: it has the same owner.
  io::Process other = RunInBackground({"sleep", "1000"}, Path("sleep.log"));
  std::ofstream(source + "/postmaster.pid") << other.pid() << files.substr(files.find('\n'));
  std::ofstream(source + "/postmaster.opts") << "/usr/bin/postgres \"-D\" \"/production\"\n";
  EXPECT_EQ(Query(source, "select count(*) from t"), "1000");
  ASSERT_TRUE(other.End(SIGTERM, 5s));
}

TEST_F(Traps, Trap26LongPathsLeaveRoomForASocket) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Stop();
  const std::string home = Path(std::string(100, 'l')) + '/' + std::string(100, 'h');
  const auto run = program_.Run({"open", cluster.data_directory(), "--exec", "--", "/bin/sh", "-ec",
                                 "\"$PG_BIN/psql\" -XAtqc 'select 42'; stat -c %a \"$PGHOST\"; echo \"$PGHOST\""},
                                {{"PGSTRATA_HOME", home}});
  EXPECT_THAT(run.standard_output, testing::StartsWith("42\n700\n")) << run.standard_error;
  const std::string socket = run.standard_output.substr(7, run.standard_output.size() - 8);
  EXPECT_LE((socket + "/.s.PGSQL.5432").size(), 107U);
  EXPECT_FALSE(io::Exists(socket)) << socket;
  EXPECT_FALSE(io::Exists(home + "/run"));
}

// Both that two run at once and that PostgreSQL takes neither for the other: its shared memory key is made from the
// directory's inode number.
TEST_F(Traps, Trap42TwoRootsHaveDifferentInodeNumbers) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Psql(kThousandRows);
  cluster.Stop();
  const std::string& source = cluster.data_directory();
  const std::string first = Path("first");
  const std::string script =
      "stat -c %i \"$PGHOST/mnt\" > \"$0.new\"; mv \"$0.new\" \"$0\"; "
      "while [ -e \"$0\" ]; do sleep 0.02; done; "
      "\"$PG_BIN/psql\" -XAtqc 'insert into t values (0); select count(*) from t'";
  io::Process running = program_.Start({"open", source, "--exec", "--", "/bin/sh", "-c", script, first});
  while (!io::Exists(first)) ASSERT_FALSE(running.Wait(10ms)->has_value());
  const std::string first_inode = *io::ReadWholeFile(first);
  const auto second = program_.Run({"open", source, "--exec", "--", "/bin/sh", "-ec",
                                    "stat -c %i \"$PGHOST/mnt\"; \"$PG_BIN/psql\" -XAtqc 'select count(*) from t'"});
  EXPECT_THAT(second.standard_output, testing::EndsWith("\n1000\n")) << second.standard_error;
  const std::string second_inode = second.standard_output.substr(0, second.standard_output.find('\n') + 1);
  EXPECT_NE(first_inode, second_inode);
  EXPECT_NE(first_inode, "1\n");
  EXPECT_NE(second_inode, "1\n");
  fs::remove(first);
  EXPECT_EQ((*running.Wait())->AsShell(), 0);
  EXPECT_EQ(*io::ReadWholeFile(Path("out")), "1001\n");
  EXPECT_EQ(program_.Leftovers(), "");
}

TEST_F(Traps, Trap27ConfigurationIsOurs) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Psql(kThousandRows);
  const std::string backup = cluster.BaseBackup("backup");
  const std::string hostile = Copy(backup, "hostile");
  Append(hostile + "/postgresql.conf",
         "include '/etc/passwd'\ninclude_if_exists '../elsewhere.conf'\ninclude_dir '/etc'\n"
         "intervalstyle = 'iso_8601'\ntimezone = 'Asia/Tokyo'\nmyapp.setting = 'kept'\n"
         "data_directory = '/nonexistent'\nhba_file = '/nonexistent'\nident_file = '/nonexistent'");
  Append(hostile + "/postgresql.auto.conf",
         "listen_addresses = '*'\nport = 1\nunix_socket_directories = '/nonexistent'\nmax_connections = 1\n"
         "no_such_setting = 1\nwork_mem = 'nonsense'\ndatestyle = 'German'");
  std::ofstream(hostile + "/pg_hba.conf") << "local all all reject\n";
  const auto run = Open(hostile,
                        "select count(*), current_setting('intervalstyle'), current_setting('timezone'), "
                        "current_setting('myapp.setting'), current_setting('datestyle'), "
                        "current_setting('listen_addresses') from t");
  EXPECT_EQ(run.standard_output, "1000|iso_8601|Asia/Tokyo|kept|German, DMY|\n");
  EXPECT_THAT(run.standard_error, HasSubstr("/etc/passwd"));
  // As on Debian.
  for (const char* name : {"/postgresql.conf", "/postgresql.auto.conf", "/pg_hba.conf", "/pg_ident.conf"}) {
    fs::remove(backup + name);
  }
  EXPECT_EQ(Query(backup, "select count(*) from t"), "1000");
  // What cannot be parsed is said, and the data are there.
  Append(hostile + "/postgresql.auto.conf", "= 'what is this");
  EXPECT_THAT(Open(hostile, "select count(*) from t").standard_error, HasSubstr("postgresql.auto.conf"));
}

TEST_F(Traps, Trap28MissingPreloadLibraryIsNamed) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Psql(kThousandRows);
  cluster.Stop();
  const std::string& source = cluster.data_directory();
  Append(source + "/postgresql.conf", "shared_preload_libraries = 'auto_explain, nosuchlib'");
  EXPECT_THAT(Failure(source, 69), AllOf(HasSubstr("nosuchlib"), HasSubstr("--without-preload nosuchlib")));
  EXPECT_EQ(Query(source, "select count(*), current_setting('shared_preload_libraries') from t",
                  {"--without-preload", "nosuchlib"}),
            "1000|auto_explain");
}

TEST_F(Traps, Trap29AnotherMajorVersionIsRefused) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Stop();
  const std::string& source = cluster.data_directory();
  std::ofstream(source + "/PG_VERSION") << "16\n";
  const auto run = program_.Run({"open", source, "-c", "select 1"});
  EXPECT_THAT(run.status.AsShell(), testing::AnyOf(65, 69));
  EXPECT_THAT(run.standard_error, AllOf(HasSubstr("16"), HasSubstr("pg_control"), HasSubstr("PG_VERSION")));
  EXPECT_EQ(program_.Leftovers(), "");
}

TEST_F(Traps, Trap29MissingLocaleIsNamed) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Psql(kThousandRows);
  cluster.Psql(
      "update pg_database set datcollate = 'tlh_QO.UTF-8', datctype = 'tlh_QO.UTF-8' where datname = 'postgres'");
  cluster.Stop();
  EXPECT_THAT(Failure(cluster.data_directory(), 69), HasSubstr("tlh_QO.UTF-8"));
  EXPECT_EQ(Query(cluster.data_directory(), "select 1", {"-d", "template1"}), "1");
}

TEST_F(Traps, Trap29IndexesOfAnotherCollationVersionAreNamed) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Psql(
      "create table t as select i, md5(i::text) as text, md5(i::text) collate \"en-x-icu\" as english, "
      "md5(i::text) collate \"C\" as bytes from generate_series(1, 10000) i");
  cluster.Psql(
      "create index by_number on t (i); create index by_english on t (english); "
      "create index by_bytes on t (bytes); analyze t");
  cluster.Psql("update pg_collation set collversion = '1.0' where collname = 'en-x-icu'");
  cluster.Stop();
  const std::string explain =
      "explain (costs off) select * from t where english = 'x'; explain (costs off) select * from t where bytes = 'x'; "
      "explain (costs off) select * from t where i = 1";
  const auto used = Open(cluster.data_directory(), explain);
  EXPECT_THAT(used.standard_error, AllOf(HasSubstr("by_english"), HasSubstr("--no-text-index"),
                                         Not(HasSubstr("by_bytes")), Not(HasSubstr("by_number"))));
  EXPECT_THAT(used.standard_output, HasSubstr("by_english"));
  const auto kept_off = Open(cluster.data_directory(), explain, {"--no-text-index"});
  EXPECT_THAT(kept_off.standard_error, HasSubstr("by_english"));
  EXPECT_THAT(kept_off.standard_output,
              AllOf(Not(HasSubstr("by_english")), HasSubstr("by_bytes"), HasSubstr("by_number")));
}

TEST_F(Traps, Trap29IndexesOfTheDatabasesOwnCollationAreNamed) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Psql(
      "create table t as select i, md5(i::text) as text, md5(i::text) collate \"C\" as bytes "
      "from generate_series(1, 100) i");
  cluster.Psql("create index by_text on t (text); create index by_bytes on t (bytes)");
  cluster.Psql("update pg_database set datcollversion = '1.0' where datname = 'postgres'");
  cluster.Stop();
  EXPECT_THAT(Open(cluster.data_directory(), "select 1").standard_error,
              AllOf(HasSubstr("by_text"), Not(HasSubstr("by_bytes"))));
}

TEST_F(Traps, Trap30LargeMachinesSettingsAreNotTaken) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Psql(kThousandRows);
  cluster.Stop();
  const std::string& source = cluster.data_directory();
  const std::string production = program_.directory().MakeDirectory("production");
  fs::permissions(production, fs::perms::all);
  std::ofstream(production + "/server.pid") << "4711\n";
  Append(source + "/postgresql.conf",
         "shared_buffers = '900GB'\nhuge_pages = on\nssl = on\nssl_cert_file = '/nonexistent'\n"
         "logging_collector = on\nlog_destination = 'syslog'\nlog_directory = '" +
             production + "'\nexternal_pid_file = '" + production +
             "/server.pid'\ntemp_tablespaces = 'nonexistent'\ndefault_tablespace = 'nonexistent'");
  const std::string before = TreeState(production);
  EXPECT_EQ(Query(source,
                  "create table u as select * from t; create temp table v as select * from t; select count(*) from v"),
            "1000");
  EXPECT_EQ(
      Settings(source,
               {"shared_buffers", "huge_pages", "ssl", "logging_collector", "temp_tablespaces", "restart_after_crash"}),
      "shared_buffers=128MB huge_pages=off ssl=off logging_collector=off temp_tablespaces= restart_after_crash=off");
  EXPECT_EQ(TreeState(production), before);
}

TEST_F(Traps, Trap31AutovacuumRestsAndUnloggedTablesWork) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Psql("create unlogged table u (i int primary key); insert into u select generate_series(1, 1000)");
  cluster.Psql("create table t (i int) with (autovacuum_freeze_max_age = 100000)");
  const std::string backup = cluster.BaseBackup("backup");
  EXPECT_EQ(Query(backup, "insert into u values (1), (2); select count(*), max(i) from u"), "2|2");
  EXPECT_EQ(Settings(backup, {"autovacuum", "autovacuum_freeze_max_age", "autovacuum_multixact_freeze_max_age"}),
            "autovacuum=off autovacuum_freeze_max_age=2000000000 autovacuum_multixact_freeze_max_age=2000000000");
  cluster.Kill();
  EXPECT_EQ(Query(cluster.data_directory(), "insert into u values (1); select count(*) from u"), "1");
}

TEST_F(Traps, Trap36SettingsOfRolesAndDatabasesDoNotStopTheSession) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Psql(kThousandRows);
  cluster.Psql("create role app login; grant all on t to app; alter role app set search_path = 'app'");
  cluster.Psql(
      "alter role all set temp_tablespaces = 'pg_global'; "
      "alter database postgres set default_tablespace = 'pg_global'; "
      "alter database postgres set default_transaction_read_only = on; "
      "alter role postgres set session_preload_libraries = 'nosuchlib'");
  cluster.Stop();
  const std::string sql =
      "insert into public.t values (0); create temp table v as select * from public.t; "
      "select count(*), current_setting('temp_tablespaces'), current_setting('default_tablespace') from v";
  EXPECT_EQ(Query(cluster.data_directory(), sql), "1001||");
  EXPECT_EQ(Query(cluster.data_directory(), sql + "; show search_path", {"-U", "app"}), "1001||\napp");
}

TEST_F(Traps, Trap36LibrariesThatRolesPreloadAreNotWanted) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Psql("create role app login");
  cluster.Psql(
      "alter role all set local_preload_libraries = 'nosuchlib'; "
      "alter role app set session_preload_libraries = 'nosuchlib'");
  cluster.Stop();
  EXPECT_EQ(Query(cluster.data_directory(), "select 1"), "1");
  EXPECT_EQ(Query(cluster.data_directory(), "select 1", {"-U", "app"}), "1");
}

}  // namespace
}  // namespace pgstrata::test
