#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "foundation/base/text.h"
#include "foundation/io/file.h"
#include "tests/e2e/pgstrata_program.h"

namespace pgstrata::test {
namespace {

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
