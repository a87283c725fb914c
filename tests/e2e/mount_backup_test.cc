// mount, unmount, stat and cleanup without a server.
#include <fcntl.h>
#include <sys/stat.h>

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

TEST_P(MountsAs, WhatWasWrittenIsThereAfterTheNextMount) {
  const std::string before = TreeState(Backup());
  EXPECT_THAT(Mount(), AllOf(HasSubstr("mounted"), HasSubstr("online backup"), HasSubstr("changes go to " + diff())));
  EXPECT_EQ(Read("PG_VERSION"), "15\n");
  Write("new", "one");
  Write("PG_VERSION", "changed");
  test::Run({"/bin/mkdir", mnt() + "/directory"});
  test::Run({"/bin/mv", mnt() + "/new", mnt() + "/directory/moved"});
  EXPECT_EQ(Unmount(), "");
  EXPECT_FALSE(IsMounted());
  EXPECT_FALSE(io::Exists(diff() + "/control"));
  EXPECT_THAT(Mount(), HasSubstr("changes go on in " + diff()));
  EXPECT_EQ(Read("directory/moved"), "one");
  EXPECT_EQ(Read("PG_VERSION"), "changed");
  EXPECT_EQ(Done({"umount", mnt()}), "");
  EXPECT_EQ(TreeState(Backup()), before);
}

TEST_P(MountsAs, StatSaysWhatWasAskedAndWhatTheChangesTake) {
  Mount();
  Write("new", std::string(100'000, 'x'));
  EXPECT_TRUE(Eventually([&] { return Stat(mnt())["requests"]["write"]["bytes"] == 100'000; }));
  const auto stat = Stat(diff());
  EXPECT_EQ(stat["mountpoint"], mnt());
  EXPECT_EQ(stat["source"], Backup());
  EXPECT_EQ(stat["layers"][0]["directory"], diff() + "/layer-1");
  EXPECT_GE(stat["layers"][0]["bytes"], 100'000);
  EXPECT_THAT(Done({"stat", mnt()}), AllOf(HasSubstr("write"), HasSubstr("p99"), HasSubstr(Backup())));
  Done({"stat", "--reset", mnt()});
  EXPECT_FALSE(Stat(mnt())["requests"].contains("write"));
  Unmount();
  EXPECT_TRUE(Stat(diff())["mountpoint"].is_null());
  EXPECT_GE(Stat(diff())["layers"][0]["bytes"], 100'000);
  EXPECT_THAT(Failure(66, {"stat", mnt()}), HasSubstr("neither"));
}

TEST_P(MountsAs, AUsedMountStaysAndForceCutsItOff) {
  Mount();
  auto user = RunInBackground({"/bin/sh", "-c", "cd '" + mnt() + "' && exec sleep 1000"}, Path("out"));
  ASSERT_TRUE(
      Eventually([&] { return io::ReadLink("/proc/" + std::to_string(user.pid()) + "/cwd").value_or("") == mnt(); }));
  EXPECT_THAT(Failure(75, {"unmount", mnt()}), AllOf(HasSubstr(std::to_string(user.pid())), HasSubstr("--force")));
  EXPECT_TRUE(IsMounted());
  EXPECT_EQ(Read("PG_VERSION"), "15\n");
  Done({"unmount", "--force", mnt()});
  EXPECT_FALSE(IsMounted());
  EXPECT_TRUE(user.End(SIGKILL, 10s));
  Mount();
  EXPECT_EQ(Read("PG_VERSION"), "15\n");
}

TEST_P(MountsAs, AKilledProcessLeavesErrorsAndWhatWasSynced) {
  Mount();
  Write("synced", "kept");
  test::Run({"/bin/sync", mnt() + "/synced", mnt()});
  const pid_t worker = WorkerPid();
  ASSERT_GT(worker, 0);
  ASSERT_TRUE(KillAndWait(worker));
  ASSERT_TRUE(Eventually([&] {
    return !io::Exists("/proc/" + std::to_string(worker)) ||
           io::ReadWholeFile("/proc/" + std::to_string(worker) + "/stat").value_or(") Z").contains(") Z");
  }));
  // A request that was under way when it died is aborted.
  EXPECT_TRUE(
      Eventually([&] { return TryRun({"/bin/cat", mnt() + "/PG_VERSION"}).standard_error.contains("not connected"); }));
  EXPECT_THAT(Failure(74, {"stat", mnt()}), AllOf(HasSubstr("died"), HasSubstr("unmount --force")));
  EXPECT_THAT(Done({"stat", diff()}), AllOf(HasSubstr(mnt()), HasSubstr("died"), HasSubstr("unmount --force")));
  EXPECT_EQ(Stat(diff())["mountpoint"], mnt());
  EXPECT_THAT(Failure(75, {"cleanup", "--yes", diff()}), HasSubstr("unmount --force"));
  EXPECT_THAT(Mount(), HasSubstr("changes go on"));
  EXPECT_EQ(Read("synced"), "kept");
  KillWorker();
  EXPECT_THAT(Done({"unmount", mnt()}), HasSubstr("had died"));
  EXPECT_FALSE(IsMounted());
  EXPECT_FALSE(io::Exists(diff() + "/control"));
}

TEST_P(MountsAs, AHungProcessIsKilledByForce) {
  Mount();
  const pid_t worker = WorkerPid();
  ASSERT_EQ(::kill(worker, SIGSTOP), 0);
  EXPECT_THAT(Failure(75, {"unmount", "--timeout", "1", mnt()}), HasSubstr("--force"));
  Done({"unmount", "--force", "--timeout", "1", mnt()});
  EXPECT_FALSE(IsMounted());
  Mount();
  EXPECT_EQ(Read("PG_VERSION"), "15\n");
}

TEST_P(MountsAs, SigtermIsAnOrderlyEnd) {
  Mount();
  Write("new", "written");
  ASSERT_EQ(::kill(WorkerPid(), SIGTERM), 0);
  EXPECT_TRUE(Eventually([&] { return !IsMounted() && !io::Exists(diff() + "/control"); }));
  Mount();
  EXPECT_EQ(Read("new"), "written");
}

TEST_P(MountsAs, ConsoleStaysAndASignalUnmounts) {
  std::vector<std::string> argv = {
      PgstrataProgram::Path(), "mount", Backup(), mnt(), "--diff-dir", diff(), "--console"};
  auto process = as_user_ ? RunInBackground(argv, Path("out"), {{"PGSTRATA_HOME", program_.home()}})
                          : program_.Start({argv.begin() + 1, argv.end()});
  ASSERT_TRUE(Eventually([&] { return Run({"stat", mnt()}).status.AsShell() == 0; }));
  Write("new", "written");
  EXPECT_FALSE(process.Wait(100ms)->has_value());
  ASSERT_TRUE(process.Signal(SIGTERM));
  const auto status = process.Wait(60s);
  ASSERT_TRUE(status && *status);
  EXPECT_EQ((*status)->AsShell(), 143);
  EXPECT_FALSE(IsMounted());
  Mount();
  EXPECT_EQ(Read("new"), "written");
}

TEST_P(MountsAs, ReadOnlyNeedsNoDiffDirectoryAndLeavesNothing) {
  Done({"mount", Backup(), mnt(), "--read-only"});
  EXPECT_EQ(test::Run({"/usr/bin/diff", "-r", Backup(), mnt()}), "");
  EXPECT_NE(TryRun({"/bin/sh", "-c", "echo x > '" + mnt() + "/PG_VERSION'"}).status.AsShell(), 0);
  EXPECT_EQ(Stat(mnt())["read_only"], true);
  Unmount();
  EXPECT_TRUE(io::ListDirectory(program_.home() + "/mounts")->empty());
  Done({"mount", Backup(), mnt(), "--read-only"});
  KillWorker();
  Done({"unmount", mnt()});
  EXPECT_TRUE(io::ListDirectory(program_.home() + "/mounts")->empty());
}

TEST_P(MountsAs, CleanupAsksOrIsToldNotTo) {
  Mount();
  EXPECT_THAT(Failure(75, {"cleanup", "--yes", diff()}), AllOf(HasSubstr("mounted at"), HasSubstr(mnt())));
  Unmount();
  EXPECT_THAT(Failure(64, {"cleanup", diff()}), AllOf(HasSubstr("--yes"), HasSubstr("--force"), HasSubstr(Backup())));
  Done({"cleanup", "--yes", diff()});
  EXPECT_FALSE(io::Exists(diff()));
  EXPECT_EQ(Failure(66, {"cleanup", "--force", diff()}).empty(), false);
  const std::string other = program_.directory().MakeDirectory("other");
  EXPECT_THAT(Failure(66, {"cleanup", "--force", other}), HasSubstr("not a diff directory"));
  static_cast<void>(program_.directory().WriteFile("other/lock", ""));
  static_cast<void>(program_.directory().WriteFile("other/precious", ""));
  EXPECT_THAT(Failure(71, {"cleanup", "--force", other}), HasSubstr("precious"));
  EXPECT_TRUE(io::Exists(other + "/precious"));
}

TEST_F(Mounts, ADiffDirectoryIsUsedOnceAtATime) {
  Mount();
  const std::string other = program_.directory().MakeDirectory("mnt2");
  EXPECT_THAT(Failure(75, {"mount", Backup(), other, "--diff-dir", diff()}), HasSubstr("mounted at \"" + mnt() + '"'));
  EXPECT_THAT(Failure(75, {"mount", Backup(), mnt(), "--diff-dir", Path("diff2")}), HasSubstr("already"));
  EXPECT_FALSE(io::Exists(Path("diff2")));
  EXPECT_EQ(Read("PG_VERSION"), "15\n");
  std::vector<std::thread> threads;
  std::atomic<int> mounted = 0, busy = 0;
  Unmount();
  for (int i = 0; i < 4; ++i) {
    const std::string place = program_.directory().MakeDirectory("at" + std::to_string(i));
    threads.emplace_back([&, place] {
      const int status = Run({"mount", Backup(), place, "--diff-dir", diff()}).status.AsShell();
      (status == 0 ? mounted : busy) += status == 0 || status == 75 ? 1 : 0;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(mounted, 1);
  EXPECT_EQ(busy, 3);
  Done({"unmount", Stat(diff())["mountpoint"]});
}

TEST_F(Mounts, AnotherSourceIsRefusedAndTheDifferenceSaid) {
  Mount();
  Write("new", "kept");
  Unmount();
  const std::string moved = Path("moved");
  CopyTree(Backup(), moved);
  EXPECT_THAT(Failure(65, {"mount", moved, mnt(), "--diff-dir", diff()}),
              AllOf(HasSubstr("--moved"), HasSubstr(moved)));
  Done({"mount", moved, mnt(), "--diff-dir", diff(), "--moved"});
  EXPECT_EQ(Read("new"), "kept");
  Unmount();
  Done({"mount", moved, mnt(), "--diff-dir", diff()});
  Unmount();
  // As a server leaves it that was started there.
  PostgresCluster started({.copy_of = moved});
  started.Start();
  started.Stop();
  CopyTree(started.data_directory() + "/global/pg_control", moved + "/global/pg_control");
  EXPECT_THAT(Failure(65, {"mount", moved, mnt(), "--diff-dir", diff()}), HasSubstr("has changed since"));
  PostgresCluster other({.own_identity = true});
  EXPECT_THAT(Failure(65, {"mount", other.data_directory(), mnt(), "--diff-dir", diff()}),
              HasSubstr("system identifier"));
  EXPECT_FALSE(IsMounted());
}

TEST_F(Mounts, DirectoriesThatLieInEachOtherAreRefused) {
  EXPECT_THAT(Failure(65, {"mount", Backup(), mnt(), "--diff-dir", mnt() + "/diff"}), HasSubstr("would hide"));
  EXPECT_THAT(Failure(65, {"mount", Backup(), Backup(), "--diff-dir", diff()}), HasSubstr("would hide"));
  EXPECT_THAT(Failure(65, {"mount", Backup(), Backup() + "/base", "--diff-dir", diff()}),
              HasSubstr("lies in the source"));
  const std::string inside = Backup() + "/diff";
  EXPECT_THAT(Failure(65, {"mount", Backup(), mnt(), "--diff-dir", inside}), HasSubstr("lies in the source"));
  EXPECT_FALSE(io::Exists(inside));
  EXPECT_FALSE(IsMounted());
}

TEST_F(Mounts, BadArgumentsSayWhatIsWrong) {
  EXPECT_THAT(Failure(64, {"mount", Backup(), mnt()}), HasSubstr("--diff-dir"));
  EXPECT_THAT(Failure(64, {"mount", Backup(), mnt(), "--read-only", "--diff-dir", diff()}), HasSubstr("--read-only"));
  EXPECT_THAT(Failure(64, {"mount", Backup(), mnt(), "--diff-dir", diff(), "--timeout", "soon"}), HasSubstr("soon"));
  EXPECT_THAT(Failure(66, {"mount", Backup(), Path("absent"), "--diff-dir", diff()}), HasSubstr("absent"));
  EXPECT_THAT(Failure(66, {"mount", Path("absent"), mnt(), "--diff-dir", diff()}), HasSubstr("absent"));
  const std::string full = program_.directory().MakeDirectory("full");
  static_cast<void>(program_.directory().WriteFile("full/precious", ""));
  EXPECT_THAT(Failure(71, {"mount", Backup(), mnt(), "--diff-dir", full}), HasSubstr("precious"));
  EXPECT_THAT(Failure(66, {"unmount", mnt()}), HasSubstr("nothing is mounted"));
  EXPECT_THAT(Failure(65, {"unmount", "/proc"}), HasSubstr("not a mount of pgstrata"));
  EXPECT_FALSE(IsMounted());
}

TEST_F(Mounts, ANewerFormatIsRefusedByNumber) {
  Mount();
  Unmount();
  std::string record = io::ReadWholeFile(diff() + "/pgstrata.json").value();
  record.replace(record.find("\"version\": 2"), 12, "\"version\": 7");
  ASSERT_TRUE(io::WriteWholeFile(diff() + "/pgstrata.json", record));
  EXPECT_THAT(Failure(69, {"mount", Backup(), mnt(), "--diff-dir", diff()}), HasSubstr("version 7"));
  ASSERT_TRUE(io::WriteWholeFile(diff() + "/pgstrata.json", "{\"format\": 1}"));
  EXPECT_THAT(Failure(65, {"mount", Backup(), mnt(), "--diff-dir", diff()}), HasSubstr("damaged"));
}

TEST_F(Mounts, AnUnfinishedDiffDirectoryIsBegunAnew) {
  for (int delay_ms = 0; delay_ms <= 60; delay_ms += 10) {
    auto process = program_.Start({"mount", Backup(), mnt(), "--diff-dir", diff(), "-q"});
    std::this_thread::sleep_for(std::chrono::milliseconds(delay_ms));
    ASSERT_TRUE(process.Signal(SIGKILL));
    ASSERT_TRUE(process.Wait(60s));
    // A worker whose command died before it was told ends by itself; one that was told serves.
    const bool settled = Eventually([&] {
      const int status = Run({"mount", Backup(), mnt(), "--diff-dir", diff(), "-q"}).status.AsShell();
      return status == 0 || (status == 75 && Run({"stat", mnt()}).status.AsShell() == 0);
    });
    ASSERT_TRUE(settled) << delay_ms;
    EXPECT_EQ(Read("PG_VERSION"), "15\n");
    Unmount();
    Done({"cleanup", "--force", diff()});
  }
}

TEST_F(Mounts, ChownAndChmodOfTheDirectoryCopyNoData) {
  if (::geteuid() != 0) return;
  Mount({"--allow-other"});
  const uint64_t before = Stat(mnt())["layers"][0]["bytes"];
  const auto chown = io::RunAndCapture({.argv = {"chown", "-R", "daemon:daemon", mnt()}});
  ASSERT_EQ(chown->status.AsShell(), 0) << chown->standard_error;
  ASSERT_EQ(io::RunAndCapture({.argv = {"chmod", "-R", "u+rwX,go-rwx", mnt()}})->status.AsShell(), 0);
  EXPECT_EQ(io::StatTarget(mnt() + "/base/1/1259")->st_uid, io::FindUser("daemon")->uid);
  EXPECT_LE(Stat(mnt())["layers"][0]["bytes"].get<uint64_t>(), before + (1 << 20));
  EXPECT_EQ(Stat(mnt())["requests"].value("write", codec::Json::object()).value("bytes", 0), 0);
  Unmount();
  Mount();
  EXPECT_EQ(io::StatTarget(mnt() + "/base/1/1259")->st_uid, io::FindUser("daemon")->uid);
  EXPECT_EQ(io::StatTarget(mnt() + "/base/1/1259")->st_mode & 07777U, 0600U);
}

}  // namespace
}  // namespace pgstrata::test
