#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "foundation/base/clock.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "foundation/io/process.h"
#include "tests/fuse/mounted.h"
#include "tests/support/private_mounts.h"
#include "tests/support/scratch_directory.h"
#include "volume/fuse/availability.h"
#include "volume/fuse/started_mount.h"

namespace pgstrata::fuse {
namespace {

// A few milliseconds on an idle machine. What must not come back is a wait for a timeout: those are of seconds.
#ifdef PGSTRATA_SANITIZED
constexpr double kMountAndUnmountMs = 700;
#else
constexpr double kMountAndUnmountMs = 35;
#endif

TEST(Session, MountsAndUnmountsQuickly) {
  double best = 1e9;
  for (int round = 0; round < 5; ++round) {
    const Stopwatch watch;
    Mounted mounted;
    mounted.End();
    best = std::min(best, watch.milliseconds());
  }
  RecordProperty("mount_and_unmount_ms", std::to_string(best));
  EXPECT_LT(best, kMountAndUnmountMs);
}

TEST(Session, StopsWhileIdleWhileInUseAndBeforeServing) {
  {
    Mounted idle;
  }
  {
    Mounted used;
    const auto file = io::File::Open(used.path("file"), O_RDWR | O_CREAT);
    used.End();
  }
  test::MemoryFileSystem file_system;
  const test::ScratchDirectory scratch;
  const std::string mountpoint = scratch.path() + "/mnt";
  ASSERT_TRUE(io::MakeDirectories(mountpoint).has_value());
  {
    auto session = Session::Mount(file_system, {.mountpoint = mountpoint});
    ASSERT_TRUE(session.has_value()) << session.error().message();
    (*session)->Stop();
    (*session)->Stop();
    EXPECT_TRUE((*session)->Serve().has_value());
  }
  EXPECT_FALSE(FindMount(mountpoint)->has_value());
}

TEST(StartedMount, IsServedByAChildOfWhoBeganIt) {
  const test::ScratchDirectory scratch;
  auto started = StartedMount::Begin({.mountpoint = scratch.path()});
  ASSERT_TRUE(started.has_value()) << started.error().message();
  EXPECT_EQ(started->options().mountpoint, io::ResolvePath(scratch.path()).value());
  const pid_t child = ::fork();
  if (child == 0) {
    test::MemoryFileSystem file_system({.uid = ::getuid(), .gid = ::getgid()});
    auto session = Session::Mount(file_system, *started);
    if (!session) ::_exit(1);
    if (!(*session)->Serve()) ::_exit(2);
    session->reset();
    ::_exit(0);
  }
  while (!FindMount(scratch.path())->has_value() && ::waitpid(child, nullptr, WNOHANG) == 0) ::usleep(1000);
  ASSERT_TRUE(io::WriteWholeFile(scratch.path() + "/file", "served").has_value());
  started->GiveAway();
  *started = {};
  EXPECT_EQ(io::ReadWholeFile(scratch.path() + "/file").value(), "served") << "it was given away";
  EXPECT_TRUE(Unmount(scratch.path(), {.lazy = false}).has_value());
  int status = -1;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(StartedMount, ThatNobodyServesIsTakenAway) {
  const test::ScratchDirectory scratch;
  {
    const auto started = StartedMount::Begin({.mountpoint = scratch.path()});
    ASSERT_TRUE(started.has_value()) << started.error().message();
  }
  EXPECT_FALSE(FindMount(scratch.path())->has_value());
  EXPECT_TRUE(io::ListDirectory(scratch.path()).has_value());
}

TEST(StartedMount, WhoIsInADetachedMountMayGoOn) {
  Mounted mounted;
  ASSERT_TRUE(io::WriteWholeFile(mounted.path("file"), "still here").has_value());
  const io::UniqueFd inside(::open(mounted.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  auto detaching = BeginToDetach(mounted.path());
  ASSERT_TRUE(detaching.has_value()) << detaching.error().message();
  EXPECT_EQ(detaching->has_value(), ::geteuid() != 0);
  if (*detaching) {
    EXPECT_EQ((*detaching)->Wait()->value().AsShell(), 0);
  }
  EXPECT_FALSE(FindMount(mounted.path())->has_value());
  EXPECT_EQ(io::ReadWholeFile("/proc/self/fd/" + std::to_string(inside.get()) + "/file").value(), "still here");
  const auto nothing = BeginToDetach(mounted.path());
  ASSERT_TRUE(nothing.has_value());
  EXPECT_FALSE(nothing->has_value());
  mounted.End();
}

TEST(Session, ServingEndsWhenSomebodyUnmounts) {
  Mounted mounted;
  ASSERT_TRUE(Unmount(mounted.path(), {.lazy = false}).has_value());
  mounted.End();
}

TEST(Session, AnAbortEndsServingAndUsersGetErrors) {
  Mounted mounted;
  const auto file = io::File::Open(mounted.path("file"), O_RDWR | O_CREAT);
  ASSERT_TRUE(Unmount(mounted.path(), {.abort_first = true}).has_value());
  // Without root and fusectl a connection lives as long as somebody serves it.
  if (::geteuid() != 0) mounted.End();
  EXPECT_EQ(::fsync(file->fd()), -1);
  EXPECT_EQ(errno, ENOTCONN);
  mounted.End();
}

TEST(Session, RemovesOnlyItsOwnMount) {
  if (::geteuid() != 0) return;  // fusermount3 mounts nothing on a mount that root cannot look into
  Mounted below;
  test::MemoryFileSystem file_system;
  {
    auto above = Session::Mount(file_system, {.mountpoint = below.path()});
    ASSERT_TRUE(above.has_value()) << above.error().message();
    EXPECT_EQ(FindMount(below.path())->value().device(), (*above)->mount().device());
    ASSERT_TRUE(below.session().Unmount().has_value());
    EXPECT_EQ(FindMount(below.path())->value().device(), (*above)->mount().device());
  }
  EXPECT_EQ(FindMount(below.path())->value().device(), below.session().mount().device());
}

TEST(Session, TwentyAtOnce) {
  constexpr size_t kMounts = 20;
  std::vector<std::unique_ptr<Mounted>> all;
  all.reserve(kMounts);
  for (size_t i = 0; i < kMounts; ++i) all.push_back(std::make_unique<Mounted>());
  for (const auto& mounted : all) {
    EXPECT_TRUE(io::WriteWholeFile(mounted->path("f"), "x").has_value());
  }
  EXPECT_GE(ListMounts()->size(), 20U);
}

TEST(Session, AMountpointThatIsNoDirectoryIsAClearError) {
  test::MemoryFileSystem file_system;
  const auto absent = Session::Mount(file_system, {.mountpoint = "/tmp/pgstrata-no-such-directory"});
  ASSERT_FALSE(absent.has_value());
  EXPECT_EQ(absent.error().code(), ErrorCode::kNotFound);
  EXPECT_NE(absent.error().message().find("pgstrata-no-such-directory"), std::string::npos);
  const auto file = Session::Mount(file_system, {.mountpoint = "/etc/passwd"});
  ASSERT_FALSE(file.has_value());
  EXPECT_NE(file.error().message().find("/etc/passwd"), std::string::npos);
}

TEST(Session, LeaksNoDescriptorAndNoThread) {
  const auto count = [](const char* directory) { return io::ListDirectory(directory)->size(); };
  {
    const Mounted warm_up;
  }
  const size_t descriptors = count("/proc/self/fd");
  for (int i = 0; i < 10; ++i) {
    Mounted mounted;
    EXPECT_TRUE(io::WriteWholeFile(mounted.path("f"), "x").has_value());
  }
  EXPECT_EQ(count("/proc/self/fd"), descriptors);
  EXPECT_LE(count("/proc/self/task"), 2U);
}

// The kernel keeps the bound as a part of what it would allow in all, so it is not exact.
void ExpectDirtyLimit(const std::string& directory) {
  const auto bytes = io::ReadWholeFile(directory + "max_bytes");
  if (!bytes) {  // before Linux 6.2
    EXPECT_EQ(io::ReadWholeFile(directory + "strict_limit").value(), "0\n");
    EXPECT_EQ(io::ReadWholeFile(directory + "max_ratio").value(), "100\n");
    return;
  }
  EXPECT_EQ(io::ReadWholeFile(directory + "strict_limit").value(), "1\n");
  const auto most = ParseDecimal(TrimWhitespace(*bytes));
  ASSERT_TRUE(most.has_value());
  EXPECT_GT(*most, kMostDirtyBytes / 2);
  EXPECT_LT(*most, kMostDirtyBytes * 2);
}

// In a process that has its own /sys. What became of the limits is read in a sysfs of the test's own.
void RaiseLimits(bool with_sysfs) {
  const test::ScratchDirectory sysfs;
  ASSERT_TRUE(test::EnterPrivateMounts()) << std::strerror(errno);
  ASSERT_EQ(::mount("none", "/sys", "tmpfs", 0, nullptr), 0) << std::strerror(errno);
  if (with_sysfs) {
    ASSERT_EQ(::mount("none", "/sys", "sysfs", 0, nullptr), 0) << std::strerror(errno);
  }
  ASSERT_EQ(::mount("none", sysfs.path().c_str(), "sysfs", 0, nullptr), 0) << std::strerror(errno);
  {
    Mounted mounted;
    EXPECT_TRUE(CanRaiseBdiLimits());
    const MountEntry& mount = mounted.session().mount();
    EXPECT_TRUE(RaiseBdiLimits(mount).all());
    const std::string directory =
        fmt::format("{}/class/bdi/{}:{}/", sysfs.path(), mount.device_major, mount.device_minor);
    ExpectDirtyLimit(directory);
    EXPECT_EQ(io::ReadWholeFile(directory + "read_ahead_kb").value(), std::to_string(kReadAheadKb) + "\n");
  }
  EXPECT_EQ(::umount(sysfs.path().c_str()), 0);
}

void ExpectLimitsAreRaised(bool with_sysfs) {
  const auto run = [&] {
    RaiseLimits(with_sysfs);
    ::_exit(::testing::Test::HasFailure() ? 1 : 0);
  };
  EXPECT_EXIT(run(), ::testing::ExitedWithCode(0), "");
}

TEST(Session, RaisesBdiLimitsAsRoot) {
  if (::geteuid() == 0) {
    ExpectLimitsAreRaised(true);
    return;
  }
  Mounted mounted;
  EXPECT_FALSE(CanRaiseBdiLimits());
  EXPECT_FALSE(RaiseBdiLimits(mounted.session().mount()).all());
}

TEST(Session, RaisesBdiLimitsAsRootAlsoWhereNoSysfsIsMounted) {
  if (::geteuid() == 0) ExpectLimitsAreRaised(false);
}

TEST(Session, FuseIsUsableHere) {
  const Availability availability = CheckFuse();
  EXPECT_TRUE(availability.usable) << availability.problem << "; " << availability.hint;
}

TEST(MountInfo, IsParsedWithEscapesAndOptionalFields) {
  const auto mounts = ParseMountInfo(
      "44 27 0:40 / /mnt/with\\040space\\134\\011x rw,nosuid - fuse.pgstrata pg\\040strata rw,user_id=0\n"
      "45 27 0:41 / /b ro shared:1 master:2 - fuse.pgstrata y rw\n"
      "46 27 8:1 / /c rw - ext4 /dev/sda1 ro\n"
      "not a line\n"
      "47 27 8 / /d rw - ext4 /dev/sda1 ro\n");
  ASSERT_EQ(mounts.size(), 3U);
  EXPECT_EQ(mounts[0].mountpoint, "/mnt/with space\\\tx");
  EXPECT_EQ(mounts[0].source, "pg strata");
  EXPECT_EQ(mounts[0].device_minor, 40U);
  EXPECT_FALSE(mounts[0].read_only);
  EXPECT_TRUE(mounts[1].read_only);
  EXPECT_TRUE(mounts[2].read_only);
}

TEST(MountInfo, AMountpointWithSpacesIsFoundAndUnmounted) {
  const test::ScratchDirectory scratch;
  const std::string mountpoint = scratch.path() + "/with space and\\backslash";
  ASSERT_TRUE(io::MakeDirectories(mountpoint).has_value());
  test::MemoryFileSystem file_system;
  {
    auto session = Session::Mount(file_system, {.mountpoint = mountpoint, .fsname = "a,b\\c d"});
    ASSERT_TRUE(session.has_value()) << session.error().message();
    EXPECT_EQ(FindMount(mountpoint)->value().source, "a,b\\c d");
  }
  EXPECT_FALSE(FindMount(mountpoint)->has_value());
}

TEST(Unmount, OfNothingIsSuccess) { EXPECT_TRUE(Unmount("/tmp", {}).has_value()); }

// The same tests once more without root, where libfuse's fusermount3 mounts.
TEST(WithoutRoot, EverythingElseInThisProgramPasses) {
  if (::geteuid() != 0) return;
  const std::string self = io::ReadLink("/proc/self/exe").value();
  const auto user = io::FindUser("nobody");
  ASSERT_TRUE(user.has_value());
  const auto run = io::RunAndCapture(
      {.argv = {self, "--gtest_brief=1", "--gtest_color=no"}, .user = *user, .working_directory = "/tmp"});
  ASSERT_TRUE(run.has_value()) << run.error().message();
  EXPECT_EQ(run->status.AsShell(), 0) << run->standard_output << run->standard_error;
}

}  // namespace
}  // namespace pgstrata::fuse
