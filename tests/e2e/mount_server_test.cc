// A server that was started by hand on a mount.
#include <csignal>
#include <thread>

#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "tests/e2e/mounts.h"

namespace pgstrata::test {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST_P(MountsAs, RecoversWritesAndGoesOnAfterTheNextMount) {
  const std::string before = TreeState(Backup());
  Mount();
  {
    HandStartedServer server(mnt(), "s1", program_.directory());
    EXPECT_EQ(server.Sql("select count(*) from t"), "1000");
    EXPECT_EQ(server.Sql("delete from t where i > 10; create table u as select 1 as one; select count(*) from t"),
              "10");
    EXPECT_THAT(Failure(75, {"unmount", mnt()}), HasSubstr("postgres"));
    server.Stop();
  }
  Unmount();
  Mount();
  HandStartedServer server(mnt(), "s2", program_.directory());
  EXPECT_THAT(server.Log(), Not(HasSubstr("not properly shut down")));
  EXPECT_EQ(server.Sql("select count(*) from t, u"), "10");
  server.Stop();
  Unmount();
  EXPECT_EQ(TreeState(Backup()), before);
}

TEST_P(MountsAs, LosesNoAcknowledgedCommitWhenTheMountsProcessIsKilled) {
  Mount();
  auto server = std::make_unique<HandStartedServer>(mnt(), "s1", program_.directory());
  server->Sql("create table log (n int primary key)");
  const pid_t worker = WorkerPid();
  std::atomic<int> acknowledged = 0;
  std::thread client([&] {
    for (int n = 1; server->TrySql("insert into log values (" + std::to_string(n) + ")").status.AsShell() == 0; ++n) {
      acknowledged = n;
    }
  });
  ASSERT_TRUE(Eventually([&] { return acknowledged >= 20; }));
  ASSERT_TRUE(KillAndWait(worker));
  client.join();
  EXPECT_TRUE(
      Eventually([&] { return TryRun({"/bin/cat", mnt() + "/PG_VERSION"}).standard_error.contains("not connected"); }));
  server->Kill();
  Done({"unmount", "--force", mnt()});
  Mount();
  server = std::make_unique<HandStartedServer>(mnt(), "s2", program_.directory());
  EXPECT_EQ(server->Sql("select count(*) >= " + std::to_string(acknowledged) + " and count(*) = max(n) from log"), "t");
  EXPECT_EQ(server->Sql("select count(*) from t"), "1000");
  server->Stop();
}

TEST_P(MountsAs, ASurvivorOfADeadMountIsNotGivenTheNewOne) {
  Mount();
  HandStartedServer server(mnt(), "s1", program_.directory());
  KillWorker();
  const auto refused = Run({"mount", Backup(), mnt(), "--diff-dir", diff()});
  // It may have noticed by itself.
  if (refused.status.AsShell() != 0) {
    EXPECT_EQ(refused.status.AsShell(), 75);
    EXPECT_THAT(refused.standard_error, AllOf(HasSubstr("postgres"), HasSubstr("--force")));
    server.Kill();
    Mount();
  }
  server.Kill();
  HandStartedServer next(mnt(), "s2", program_.directory());
  EXPECT_EQ(next.Sql("select count(*) from t"), "1000");
  next.Stop();
}

TEST_F(Mounts, TheServerIsKeptAwayFromProduction) {
  const std::string source = Path("source");
  CopyTree(Backup(), source);
  static_cast<void>(program_.directory().WriteFile("source/standby.signal", ""));
  static_cast<void>(program_.directory().WriteFile(
      "source/postgresql.auto.conf", "archive_mode = 'on'\narchive_command = 'touch " + Path("archived") +
                                         "'\nprimary_conninfo = 'host=production'\nwork_mem = '7MB'\n"
                                         "synchronous_standby_names = '*'\nrecovery_target_name = 'nowhere'"));
  Done({"mount", source, mnt(), "--diff-dir", diff()});
  HandStartedServer server(mnt(), "s1", program_.directory());
  EXPECT_EQ(server.Sql("create table u (i int); select pg_switch_wal() is not null"), "t");
  EXPECT_EQ(server.Sql("select pg_is_in_recovery()"), "f");
  EXPECT_EQ(server.Sql("show work_mem"), "7MB");
  EXPECT_EQ(server.Sql("show archive_mode"), "off");
  EXPECT_EQ(server.Sql("show primary_conninfo"), "");
  server.Stop();
  EXPECT_FALSE(io::Exists(Path("archived")));
  Unmount();
}

TEST_F(Mounts, TablespacesAreDirectoriesAndRecover) {
  PostgresCluster cluster;
  const std::string place = cluster.directory().MakeDirectory("space");
  cluster.Start();
  cluster.Psql("create tablespace s location '" + place + "'");
  cluster.Psql("create table in_space tablespace s as select i from generate_series(1, 100) i");
  const std::string backup =
      cluster.BaseBackup("backup", {"-X", "stream", "-T", place + '=' + cluster.directory().Path("copied")});
  cluster.Stop();
  const std::string before = TreeState(place) + TreeState(cluster.directory().Path("copied"));
  EXPECT_THAT(Failure(65, {"mount", backup, cluster.directory().Path("copied"), "--diff-dir", diff()}),
              HasSubstr("would hide"));
  Done({"mount", backup, mnt(), "--diff-dir", diff()});
  HandStartedServer server(mnt(), "s1", program_.directory());
  EXPECT_EQ(server.Sql("update in_space set i = i + 1; select sum(i) from in_space"), "5150");
  server.Stop();
  Unmount();
  Done({"mount", backup, mnt(), "--diff-dir", diff()});
  HandStartedServer next(mnt(), "s2", program_.directory());
  EXPECT_EQ(next.Sql("select sum(i) from in_space"), "5150");
  next.Stop();
  Unmount();
  EXPECT_EQ(TreeState(place) + TreeState(cluster.directory().Path("copied")), before);
}

TEST_F(Mounts, WalThatMakesATablespaceIsRefused) {
  PostgresCluster cluster;
  const std::string place = cluster.directory().MakeDirectory("space");
  cluster.Start();
  cluster.Psql("checkpoint");
  cluster.Psql("create tablespace s location '" + place + "'");
  cluster.Kill();
  EXPECT_THAT(Failure(69, {"mount", cluster.data_directory(), mnt(), "--diff-dir", diff()}), HasSubstr(place));
  EXPECT_FALSE(io::Exists(diff()));
}

TEST_F(Mounts, WalFromElsewhereIsShownRememberedAndNeverAddedTo) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Psql("create table t as select i from generate_series(1, 1000) i");
  const std::string backup = cluster.BaseBackup("backup", {"-X", "none"});
  const std::string archive = cluster.directory().MakeDirectory("archive");
  const auto copy_wal = [&] {
    test::Run({"/bin/sh", "-c", "cp \"$0\"/pg_wal/0* \"$1\"", cluster.data_directory(), archive});
  };
  cluster.Psql("select pg_switch_wal()");
  EXPECT_THAT(Failure(78, {"mount", backup, mnt(), "--diff-dir", diff()}), HasSubstr("--wal"));
  copy_wal();
  Done({"mount", backup, mnt(), "--diff-dir", diff(), "--wal", archive});
  {
    HandStartedServer server(mnt(), "s1", program_.directory());
    EXPECT_EQ(server.Sql("delete from t where i > 7; select count(*) from t"), "7");
    server.Kill();
  }
  Unmount();
  cluster.Psql("insert into t select i from generate_series(1, 100) i; select pg_switch_wal()");
  copy_wal();
  cluster.Stop();
  Done({"mount", backup, mnt(), "--diff-dir", diff()});
  HandStartedServer server(mnt(), "s2", program_.directory());
  EXPECT_EQ(server.Sql("select count(*) from t"), "7");
  server.Stop();
  Unmount();
}

TEST_F(Mounts, StatAnswersWhileTheServerWorks) {
  Mount();
  HandStartedServer server(mnt(), "s1", program_.directory());
  std::atomic<bool> done = false;
  std::thread load([&] {
    static_cast<void>(
        server.TrySql("create table big as select i, repeat('x', 500) from generate_series(1, 40000) i; "
                      "checkpoint"));
    done = true;
  });
  int answers = 0;
  while (!done) answers += Run({"stat", mnt()}).status.AsShell() == 0 ? 1 : -1'000'000;
  load.join();
  EXPECT_GT(answers, 0);
  EXPECT_GT(Stat(mnt())["requests"]["fsync"]["count"], 0);
  server.Stop();
  Unmount();
}

}  // namespace
}  // namespace pgstrata::test
