#include "volume/worker/worker.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "foundation/base/clock.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "foundation/io/lock.h"
#include "tests/support/memory_file_system.h"
#include "tests/support/temporary_directory.h"
#include "volume/fuse/mount.h"

namespace pgstrata::worker {
namespace {

using namespace std::chrono_literals;

class WorkerTest : public testing::Test {
 protected:
  WorkerTest() {
    EXPECT_EQ(::mkdir(mountpoint_.c_str(), 0755), 0);
    options_.mount.mountpoint = mountpoint_;
    options_.log_file = log_file_;
  }

  [[nodiscard]] bool Mounted() const { return fuse::FindMount(mountpoint_)->has_value(); }
  Worker Start() {
    auto worker = StartWorker(file_system_, options_);
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

  test::TemporaryDirectory directory_;
  const std::string mountpoint_ = directory_.path() + "/mnt";
  const std::string log_file_ = directory_.path() + "/worker.log";
  test::MemoryFileSystem file_system_{{.uid = ::getuid(), .gid = ::getgid()}};
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
  { const Worker worker = Start(); }
  EXPECT_FALSE(Mounted());
}

}  // namespace
}  // namespace pgstrata::worker
