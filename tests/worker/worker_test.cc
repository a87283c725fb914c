#include "volume/worker/worker.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <thread>

#include "foundation/base/clock.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "foundation/io/lock.h"
#include "tests/support/dead_mount.h"
#include "tests/support/memory_file_system.h"
#include "tests/support/scratch_directory.h"
#include "volume/fuse/mount.h"

namespace pgstrata::worker {
namespace {

using namespace std::chrono_literals;

// Mounts and serves, as `open` does but one right after the other.
Result<Worker> StartAt(const fuse::MountOptions& mount, vfs::FileSystem& file_system, const WorkerOptions& options) {
  PGS_ASSIGN(auto started, fuse::StartedMount::Begin(mount));
  return StartWorker(file_system, started, options);
}

class WorkerTest : public testing::Test {
 protected:
  WorkerTest() {
    EXPECT_EQ(::mkdir(mountpoint_.c_str(), 0755), 0);
    mount_.mountpoint = mountpoint_;
    options_.log_file = log_file_;
  }

  [[nodiscard]] bool Mounted() const { return fuse::FindMount(mountpoint_)->has_value(); }
  Worker Start() {
    auto worker = StartAt(mount_, file_system_, options_);
    if (!worker) {
      ADD_FAILURE() << worker.error().message() << "; " << worker.error().hint();
      std::abort();
    }
    return *std::move(worker);
  }
  // Runs `body` in a child that then lives until it is killed or killed by us; returns its pid.
  template <typename Body>
  static pid_t InChild(const Body& body) {
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    body();
    ::_exit(0);
  }
  [[nodiscard]] std::string in_mount(const std::string& name) const { return mountpoint_ + '/' + name; }

  test::ScratchDirectory directory_;
  const std::string mountpoint_ = directory_.path() + "/mnt";
  const std::string log_file_ = directory_.path() + "/worker.log";
  test::MemoryFileSystem file_system_{{.uid = ::getuid(), .gid = ::getgid()}};
  fuse::MountOptions mount_;
  WorkerOptions options_;
};

bool Eventually(const auto& condition, std::chrono::milliseconds limit = 5s) {
  for (const Stopwatch watch; watch.milliseconds() < static_cast<double>(limit.count());) {
    if (condition()) return true;
    std::this_thread::sleep_for(2ms);
  }
  return condition();
}

TEST_F(WorkerTest, ServesUntilStopped) {
  Worker worker = Start();
  ASSERT_TRUE(io::WriteWholeFile(in_mount("file"), "content").has_value());
  EXPECT_EQ(io::ReadWholeFile(in_mount("file")).value(), "content");
  EXPECT_EQ(io::StatTarget(mountpoint_)->st_dev, worker.device());
  ASSERT_TRUE(worker.Stop().has_value());
  EXPECT_FALSE(Mounted());
  EXPECT_EQ(worker.process().Wait()->value().AsShell(), 0);
  EXPECT_TRUE(worker.Stop().has_value());
}

TEST_F(WorkerTest, DestructionStopsIt) {
  {
    const Worker worker = Start();
  }
  EXPECT_FALSE(Mounted());
}

TEST_F(WorkerTest, ADetachedMountIsServedUntilItIsStopped) {
  Worker worker = Start();
  ASSERT_TRUE(io::WriteWholeFile(in_mount("file"), "content").has_value());
  const io::UniqueFd inside(::open(mountpoint_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  ASSERT_TRUE(worker.BeginToDetach().has_value());
  EXPECT_TRUE(Eventually([&] { return !Mounted(); }));
  const std::string file = "/proc/self/fd/" + std::to_string(inside.get()) + "/file";
  EXPECT_EQ(io::ReadWholeFile(file).value(), "content");
  ASSERT_TRUE(worker.Stop().has_value());
  EXPECT_EQ(::access((file + ", another").c_str(), F_OK), -1);
  EXPECT_TRUE(test::IsErrorOfADeadMount(errno)) << std::strerror(errno);
  EXPECT_EQ(worker.process().Wait()->value().AsShell(), 0);
}

TEST_F(WorkerTest, IsAProcessOfItsOwn) {
  Worker worker = Start();
  const std::string proc = "/proc/" + std::to_string(worker.pid());
  EXPECT_EQ(TrimWhitespace(io::ReadWholeFile(proc + "/comm").value()), "pgstrata-worker");
  EXPECT_EQ(::getsid(worker.pid()), worker.pid());
  EXPECT_EQ(io::ReadLink(proc + "/cwd").value(), "/");
  for (const char* stream : {"0", "1", "2"}) EXPECT_EQ(io::ReadLink(proc + "/fd/" + stream).value(), "/dev/null");
}

TEST_F(WorkerTest, ClosesWhatCameFromOutsideAndKeepsWhatThisProgramOpened) {
  const auto ours = io::File::Open(directory_.path() + "/ours", O_RDWR | O_CREAT);
  // High numbers, which nothing else takes; without close-on-exec, as descriptors inherited from a shell are.
  const io::UniqueFd foreign(::fcntl(ours->fd(), F_DUPFD, 500));  // NOLINT(android-cloexec-*)
  const io::UniqueFd kept(::fcntl(ours->fd(), F_DUPFD, 500));     // NOLINT(android-cloexec-*)
  options_.keep_open = {kept.get()};
  Worker worker = Start();
  const std::string descriptors = "/proc/" + std::to_string(worker.pid()) + "/fd/";
  EXPECT_TRUE(io::ReadLink(descriptors + std::to_string(ours->fd())).has_value());
  EXPECT_TRUE(io::ReadLink(descriptors + std::to_string(kept.get())).has_value());
  EXPECT_FALSE(io::ReadLink(descriptors + std::to_string(foreign.get())).has_value());
}

TEST_F(WorkerTest, HoldsALockOfItsParentUntilItEnds) {
  const std::string path = directory_.path() + "/lock";
  Worker worker;
  {
    const auto lock = io::FileLock::TryAcquire(path);
    ASSERT_TRUE(lock.has_value());
    worker = Start();
  }
  EXPECT_TRUE(io::FileLock::IsHeld(path).value());
  ASSERT_TRUE(worker.Stop().has_value());
  EXPECT_FALSE(io::FileLock::IsHeld(path).value());
}

TEST_F(WorkerTest, SignalsOfATerminalDoNotEndIt) {
  Worker worker = Start();
  for (const int signal : {SIGINT, SIGHUP, SIGPIPE}) ASSERT_TRUE(worker.process().Signal(signal).has_value());
  EXPECT_FALSE(worker.process().Wait(100ms)->has_value());
  EXPECT_TRUE(io::WriteWholeFile(in_mount("file"), "content").has_value());
}

TEST_F(WorkerTest, EndsAndUnmountsOnSigterm) {
  bool called = false;
  options_.on_parent_death = [&] { called = true; };
  Worker worker = Start();
  ASSERT_TRUE(worker.process().Signal(SIGTERM).has_value());
  EXPECT_EQ(worker.process().Wait(5s)->value().AsShell(), 0);
  EXPECT_FALSE(Mounted());
  EXPECT_TRUE(worker.Stop().has_value());
  EXPECT_FALSE(called);
}

TEST_F(WorkerTest, EndsWhenItsMountIsRemovedFromOutside) {
  Worker worker = Start();
  ASSERT_TRUE(fuse::Unmount(mountpoint_, {.lazy = false}).has_value());
  EXPECT_EQ(worker.process().Wait(5s)->value().AsShell(), 0);
  EXPECT_TRUE(worker.Stop().has_value());
}

TEST_F(WorkerTest, EndsEvenWhileTheMountIsInUse) {
  Worker worker = Start();
  const auto file = io::File::Open(in_mount("file"), O_RDWR | O_CREAT);
  ASSERT_TRUE(file.has_value());
  ASSERT_TRUE(worker.Stop().has_value());
  EXPECT_FALSE(Mounted());
  EXPECT_EQ(::fsync(file->fd()), -1);
  EXPECT_TRUE(test::IsErrorOfADeadMount(errno)) << std::strerror(errno);
}

TEST_F(WorkerTest, AKilledWorkerLeavesErrorsAndNeverZeros) {
  const std::string content(1 << 20, 'x');
  Worker worker = Start();
  ASSERT_TRUE(io::WriteWholeFile(in_mount("file"), content).has_value());
  auto file = io::File::Open(in_mount("file"), O_RDWR);
  ASSERT_TRUE(file.has_value());
  ASSERT_EQ(::fsync(file->fd()), 0);
  ASSERT_EQ(::posix_fadvise(file->fd(), 0, 0, POSIX_FADV_DONTNEED), 0);
  ASSERT_TRUE(worker.process().Signal(SIGKILL).has_value());
  ASSERT_EQ(worker.process().Wait()->value().signal, SIGKILL);

  std::string buffer(4096, '\0');
  EXPECT_EQ(::pread(file->fd(), buffer.data(), buffer.size(), 8192), -1);
  EXPECT_TRUE(test::IsErrorOfADeadMount(errno)) << std::strerror(errno);
  struct stat stat{};
  EXPECT_EQ(::stat(in_mount("file").c_str(), &stat), -1);
  EXPECT_TRUE(test::IsErrorOfADeadMount(errno)) << std::strerror(errno);
  EXPECT_EQ(::open(in_mount("new").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600), -1);
  EXPECT_TRUE(test::IsErrorOfADeadMount(errno)) << std::strerror(errno);
  EXPECT_FALSE(file->WriteAt(0, AsBytes(content)).has_value() && ::fsync(file->fd()) == 0);

  EXPECT_TRUE(Mounted());
  EXPECT_TRUE(worker.Stop().has_value());
  EXPECT_FALSE(Mounted());
}

TEST_F(WorkerTest, AWorkerThatDoesNotListenIsKilled) {
  Worker worker = Start();
  ASSERT_TRUE(worker.process().Signal(SIGSTOP).has_value());
  ASSERT_TRUE(worker.Stop(50ms).has_value());
  EXPECT_EQ(worker.process().Wait()->value().signal, SIGKILL);
  EXPECT_FALSE(Mounted());
}

// The parent is a child of the test, so that it can die.
TEST_F(WorkerTest, TheParentsDeathRunsBothCallbacksInOrderAndUnmounts) {
  const std::string first = directory_.path() + "/first";
  const std::string second = directory_.path() + "/second";
  options_.on_parent_death = [&] {
    // Still served: whoever uses the mount can end in order.
    const bool mounted = fuse::FindMount(mountpoint_)->has_value();
    [[maybe_unused]] const auto written = io::WriteWholeFile(first, mounted ? "mounted" : "gone");
  };
  options_.after_parent_death = [&] {
    [[maybe_unused]] const auto removed = ::rmdir(mountpoint_.c_str());
    [[maybe_unused]] const auto written = io::WriteWholeFile(second, io::Exists(mountpoint_) ? "there" : "removed");
  };
  for (const bool killed : {false, true}) {
    const pid_t parent = InChild([&] {
      auto worker = StartAt(mount_, file_system_, options_);
      if (killed) ::kill(::getpid(), SIGKILL);
      ::_exit(worker.has_value() ? 0 : 1);
    });
    int status = 0;
    ASSERT_EQ(::waitpid(parent, &status, 0), parent);
    ASSERT_TRUE(Eventually([&] { return io::Exists(second); }));
    EXPECT_EQ(io::ReadWholeFile(first).value(), "mounted");
    EXPECT_TRUE(Eventually([&] { return io::ReadWholeFile(second).value() == "removed"; }));
    EXPECT_FALSE(Mounted());
    ::unlink(first.c_str());
    ::unlink(second.c_str());
    ::mkdir(mountpoint_.c_str(), 0755);
  }
}

TEST_F(WorkerTest, AnotherWorkerOfTheSameParentDoesNotHideItsDeath) {
  const std::string other_mountpoint = directory_.path() + "/other";
  ASSERT_EQ(::mkdir(other_mountpoint.c_str(), 0755), 0);
  const fuse::MountOptions other_mount{.mountpoint = other_mountpoint};
  // The second worker stays stopped: it can close nothing that it inherited.
  const pid_t parent = InChild([&] {
    auto first = StartAt(mount_, file_system_, options_);
    auto second = StartAt(other_mount, file_system_, options_);
    if (!first || !second) ::_exit(1);
    ::kill(second->pid(), SIGSTOP);
    [[maybe_unused]] const auto written = io::WriteWholeFile(directory_.path() + "/pid", std::to_string(second->pid()));
    ::kill(::getpid(), SIGKILL);
  });
  ASSERT_EQ(::waitpid(parent, nullptr, 0), parent);
  EXPECT_TRUE(Eventually([&] { return !Mounted(); }));
  ::kill(static_cast<pid_t>(*ParseDecimal(*io::ReadWholeFile(directory_.path() + "/pid"))), SIGCONT);
  EXPECT_TRUE(Eventually([&] { return !fuse::FindMount(other_mountpoint)->has_value(); }));
}

TEST_F(WorkerTest, GoodbyeAndSigtermAtOnceDoNotDeadlock) {
  for (int round = 0; round < 20; ++round) {
    Worker worker = Start();
    const pid_t pid = worker.pid();
    std::thread other([pid] {
      ::kill(pid, SIGTERM);
      ::kill(pid, SIGTERM);
    });
    const Stopwatch watch;
    ASSERT_TRUE(worker.Stop().has_value());
    EXPECT_LT(watch.milliseconds(), 4000);  // the grace is 5 seconds
    other.join();
    ASSERT_FALSE(Mounted());
  }
}

TEST_F(WorkerTest, AFailedMountIsToldWithCodeAndMessage) {
  mount_.mountpoint = directory_.path() + "/absent";
  const auto absent = StartAt(mount_, file_system_, options_);
  ASSERT_FALSE(absent.has_value());
  EXPECT_EQ(absent.error().code(), ErrorCode::kNotFound);
  EXPECT_NE(absent.error().message().find("absent"), std::string::npos);

  ASSERT_TRUE(io::WriteWholeFile(directory_.path() + "/plain", "").has_value());
  mount_.mountpoint = directory_.path() + "/plain";
  const auto plain = StartAt(mount_, file_system_, options_);
  ASSERT_FALSE(plain.has_value());
  EXPECT_NE(plain.error().message().find("plain"), std::string::npos);

  mount_.mountpoint = mountpoint_;
  options_.log_file = directory_.path() + "/plain/log";
  EXPECT_FALSE(StartAt(mount_, file_system_, options_).has_value());
  EXPECT_FALSE(Mounted());
}

// Keeps no data, so that what is measured is not the end of a process with much memory.
class ForgetfulFileSystem : public test::MemoryFileSystem {
 public:
  using MemoryFileSystem::MemoryFileSystem;
  ~ForgetfulFileSystem() override { ::munmap(written_, sizeof *written_); }
  ForgetfulFileSystem(const ForgetfulFileSystem&) = delete;
  ForgetfulFileSystem& operator=(const ForgetfulFileSystem&) = delete;
  vfs::FsStatus Write(vfs::Inode, uint64_t, ByteView bytes) override {
    std::this_thread::sleep_for(300ms);
    *written_ += bytes.size();
    return {};
  }
  // Bytes, also those that the worker was given.
  [[nodiscard]] uint64_t written() const { return *written_; }

 private:
  std::atomic<uint64_t>* written_ = static_cast<std::atomic<uint64_t>*>(
      ::mmap(nullptr, sizeof *written_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
};

TEST_F(WorkerTest, LeavesQuicklyWithMuchDirtyDataAndWritesNothingBack) {
  ForgetfulFileSystem slow({.uid = ::getuid(), .gid = ::getgid()});
  auto worker = StartAt(mount_, slow, options_);
  ASSERT_TRUE(worker.has_value()) << worker.error().message();
  // It stays open: to close it would write it back.
  auto file = io::File::Open(in_mount("big"), O_RDWR | O_CREAT);
  ASSERT_TRUE(file.has_value());
  const std::string block(1 << 20, 'd');
  const uint64_t mebibytes = ::geteuid() == 0 ? 60 : 8;  // without root the kernel allows less to be dirty
  for (uint64_t i = 0; i < mebibytes; ++i) ASSERT_TRUE(file->WriteAt(i << 20, AsBytes(block)).has_value());
  const Stopwatch watch;
  ASSERT_TRUE(worker->Stop().has_value());
  RecordProperty("stop_ms", std::to_string(watch.milliseconds()));
  EXPECT_LT(slow.written(), mebibytes << 20);
  // About 20; TSan waits for a second where threads are left at the end.
  EXPECT_LT(watch.milliseconds(), 2500);
}

TEST_F(WorkerTest, OpensItsLog) {
  Worker worker = Start();
  ASSERT_TRUE(worker.Stop().has_value());
  EXPECT_TRUE(io::Exists(log_file_));
}

TEST_F(WorkerTest, WithoutRootEverythingElseInThisProgramPasses) {
  if (::geteuid() != 0) return;
  const auto user = io::FindUser("nobody");
  ASSERT_TRUE(user.has_value());
  const auto run = io::RunAndCapture({.argv = {io::ReadLink("/proc/self/exe").value(), "--gtest_brief=1"},
                                      .user = *user,
                                      .working_directory = "/tmp"});
  ASSERT_TRUE(run.has_value()) << run.error().message();
  EXPECT_EQ(run->status.AsShell(), 0) << run->standard_output << run->standard_error;
}

}  // namespace
}  // namespace pgstrata::worker
