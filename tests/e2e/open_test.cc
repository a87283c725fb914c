#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "foundation/base/text.h"
#include "foundation/io/file.h"
#include "tests/e2e/pgstrata_program.h"

namespace pgstrata::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(Open, OnlineBackupAnswersAndStaysUntouched) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Psql("create table t as select i, 'row ' || i as text from generate_series(1, 1000) i");
  const std::string backup = cluster.BaseBackup("backup");
  const std::string before = TreeState(backup);
  const PgstrataProgram program;
  EXPECT_EQ(program.Query(backup, "select count(*), sum(i) from t"), "1000|500500");
  EXPECT_EQ(TreeState(backup), before);
  EXPECT_EQ(program.Leftovers(), "");
}

TEST(Open, StoppedDataDirectoryIsWritableAndChangesAreThrownAway) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Psql("create table t as select i from generate_series(1, 1000) i");
  cluster.Stop();
  const std::string before = TreeState(cluster.data_directory());
  const PgstrataProgram program;
  EXPECT_EQ(program.Query(cluster.data_directory(),
                          "with gone as (delete from t where i > 10 returning 1) select count(*) from gone"),
            "990");
  EXPECT_EQ(program.Query(cluster.data_directory(), "select count(*) from t"), "1000");
  EXPECT_EQ(TreeState(cluster.data_directory()), before);
  EXPECT_EQ(program.Leftovers(), "");
}

TEST(Open, CrashedCopyIsRecoveredInTheLayer) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Psql("create table t as select i from generate_series(1, 1000) i");
  cluster.Kill();
  const std::string before = TreeState(cluster.data_directory());
  const PgstrataProgram program;
  EXPECT_EQ(program.Query(cluster.data_directory(), "select count(*) from t"), "1000");
  EXPECT_EQ(TreeState(cluster.data_directory()), before);
  EXPECT_EQ(program.Leftovers(), "");
}

// Everything as the user who owns the backup, without root: mount, server and client.
TEST(Open, NeedsNoRoot) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Psql("create table t as select i from generate_series(1, 1000) i");
  const std::string backup = cluster.BaseBackup("backup");
  const PgstrataProgram program;
  const auto run = TryRun({PgstrataProgram::Path(), "open", backup, "-q", "-c", "delete from t where i > 10", "-c",
                           "select count(*), current_user from t", "--", "-XAtq"},
                          {{"PGSTRATA_HOME", program.home()}, {"PG_BIN", PostgresBin()}});
  EXPECT_EQ(run.status.AsShell(), 0) << run.standard_error;
  EXPECT_EQ(run.standard_output, "10|postgres\n");
  EXPECT_EQ(program.Leftovers(), "");
}

// As with a server's key that only root may look for.
TEST(Open, ALinkIntoAForbiddenPlaceIsAnErrorOnlyForWhoReadsIt) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Psql("create table t as select i from generate_series(1, 1000) i");
  const std::string backup = cluster.BaseBackup("backup");
  const std::string secret = cluster.directory().MakeDirectory("secret");
  ASSERT_EQ(::symlink((secret + "/server.key").c_str(), (backup + "/server.key").c_str()), 0);
  ASSERT_EQ(::chmod(secret.c_str(), 0), 0);
  const PgstrataProgram program;
  const io::Environment environment = {{"PGSTRATA_HOME", program.home()}, {"PG_BIN", PostgresBin()}};
  const std::string script =
      "PATH=$PG_BIN:$PATH; psql -XAtc 'select count(*) from t'; cat \"$(psql -XAtc 'show data_directory')/server.key\"";
  const auto opened =
      TryRun({PgstrataProgram::Path(), "open", backup, "-q", "--exec", "--", "/bin/sh", "-c", script}, environment);
  EXPECT_EQ(opened.standard_output, "1000\n");
  EXPECT_THAT(opened.standard_error, HasSubstr("server.key: Permission denied"));
  const auto printed = TryRun({PgstrataProgram::Path(), "cat", backup, "server.key"}, environment);
  EXPECT_EQ(printed.status.AsShell(), 77);
  EXPECT_THAT(printed.standard_error, AllOf(HasSubstr(backup + "/server.key"), HasSubstr("hint: ")));
  EXPECT_EQ(program.Leftovers(), "");
  ASSERT_EQ(::chmod(secret.c_str(), 0700), 0);
}

// Of a psql that is typed in a shell, too.
TEST(Open, EveryPsqlNamesTheSourceAndReadsItsUsersOwnFile) {
  PostgresCluster cluster;
  cluster.Start();
  const std::string source = cluster.BaseBackup("monday");
  const PgstrataProgram program;
  const std::string own = program.directory().WriteFile("psqlrc", "\\set greeting 'it is mine'\n");
  const std::string psql = '"' + PostgresProgram("psql") + "\" -qAtc '\\echo :PROMPT1' -c '\\echo :greeting'";
  const std::string shell = program.directory().WriteFile("shell", "#!/bin/sh\n" + psql + '\n');
  ASSERT_EQ(::chmod(shell.c_str(), 0755), 0);
  const io::Environment environment = {{"PSQLRC", own}, {"SHELL", shell}};
  for (const std::vector<std::string>& way :
       {std::vector<std::string>{"-c", "\\echo :PROMPT1", "-c", "\\echo :greeting"},
        {"--exec", "--", "/bin/sh", "-c", psql},
        {"--shell"}}) {
    std::vector<std::string> arguments = {"open", source, "-q"};
    arguments.insert(arguments.end(), way.begin(), way.end());
    const auto run = program.Run(arguments, environment);
    EXPECT_EQ(run.standard_output, "monday %/%R%x%# \nit is mine\n") << way[0] << run.standard_error;
  }
  EXPECT_EQ(program.Leftovers(), "");
}

TEST(Open, ReportNamesTheWholePathOfTheSource) {
  PostgresCluster cluster;
  cluster.Start();
  const std::string source = cluster.BaseBackup("monday");
  const PgstrataProgram program;
  const std::string file = program.directory().Path("report.json");
  const auto run = program.Run({"open", source + "/.", "--json", file, "-c", "select 1"});
  EXPECT_EQ(run.status.AsShell(), 0) << run.standard_error;
  EXPECT_THAT(run.standard_error, HasSubstr("opened monday (PostgreSQL "));
  const std::string named = "\"source\": \"" + source + '"';
  EXPECT_THAT(io::ReadWholeFile(file).value_or(""), HasSubstr(named));
  EXPECT_THAT(program.Run({"info", source, "--json"}).standard_output, HasSubstr(named));
}

// They start on one processor: nothing of that may be left when the client works.
TEST(Open, TheServerMayUseEveryProcessor) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Stop();
  const PgstrataProgram program;
  const std::string processors = "grep -h Cpus_allowed_list: /proc/";
  const auto run =
      program.Run({"open", cluster.data_directory(), "-q", "--exec", "--", "sh", "-c",
                   processors + "self/status; for p in $(psql -XAtc 'select pid from pg_stat_activity union all "
                                "select split_part(pg_read_file($$postmaster.pid$$), chr(10), 1)::int'); do "
                                "  grep -h Cpus_allowed_list: /proc/$p/status; done"});
  EXPECT_EQ(run.status.AsShell(), 0) << run.standard_error;
  const auto lines = SplitLines(run.standard_output);
  ASSERT_GE(lines.size(), 4U) << run.standard_output << "the client, the postmaster, a checkpointer and a backend";
  for (const auto line : lines) EXPECT_EQ(line, lines[0]);
}

}  // namespace
}  // namespace pgstrata::test
