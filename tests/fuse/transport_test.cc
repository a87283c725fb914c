// What could go wrong with requests on their way, whatever way that is: the queues of io_uring where the kernel allows
// it, else the device.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <functional>
#include <thread>
#include <vector>

#include "foundation/io/directory.h"
#include "foundation/io/process.h"
#include "tests/fuse/mounted.h"
#include "tests/fuse/served.h"
#include "tests/support/dead_mount.h"
#include "volume/fuse/availability.h"

namespace pgstrata::fuse {
namespace {

constexpr size_t kPageBytes = 4096;
constexpr size_t kPages = 64;

// Page i is full of the letter i.
std::string PatternFile(const Served& served) {
  std::string content;
  for (size_t i = 0; i < kPages; ++i) content += std::string(kPageBytes, static_cast<char>('0' + i));
  const std::string path = served.path("pattern");
  EXPECT_TRUE(io::WriteWholeFile(path, content).has_value());
  const auto file = io::File::Open(path, O_RDONLY);
  EXPECT_EQ(::fsync(file->fd()), 0);
  return path;
}

// Without the page cache: each is a request. 0, or an errno; EPROTO where the bytes were others.
int ReadPage(int fd, size_t page) {
  alignas(kPageBytes) std::array<char, kPageBytes> bytes;
  const ssize_t count = ::pread(fd, bytes.data(), bytes.size(), static_cast<off_t>(page * kPageBytes));
  if (count < 0) return errno;
  const char letter = static_cast<char>('0' + page);
  const bool right = count == kPageBytes && std::ranges::all_of(bytes, [&](char c) { return c == letter; });
  return right ? 0 : EPROTO;
}

pid_t ForkReader(const std::string& path, const std::function<int(int fd)>& read) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECT);
  ::_exit(fd < 0 ? 1 : read(fd));
}

int ExitStatusOf(pid_t child) {
  int status = -1;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(Transport, IsIoUringWhereTheKernelAllowsIt) {
  Mounted mounted;
  const bool rings = CheckRings() == RingSupport::kUsable && WantedTransport() == TransportChoice::kFastest;
  EXPECT_EQ(mounted.session().transport(), rings ? Transport::kIoUring : Transport::kDevice);
}

TEST(Transport, IsTheDeviceWhereThatIsWanted) {
  Mounted mounted({.transport = TransportChoice::kDevice});
  EXPECT_EQ(mounted.session().transport(), Transport::kDevice);
  ASSERT_TRUE(io::WriteWholeFile(mounted.path("file"), "read back").has_value());
  EXPECT_EQ(io::ReadWholeFile(mounted.path("file")).value(), "read back");
}

// More than a processor's queue has places.
TEST(Transport, ManyAtOnceAreAllServedAndEachGetsItsOwnBytes) {
  const Served served;
  const std::string path = PatternFile(served);
  std::vector<pid_t> readers;
  for (size_t i = 0; i < kPages; ++i) {
    readers.push_back(ForkReader(path, [i](int fd) {
      for (size_t n = 0; n < 50; ++n) {
        if (const int error = ReadPage(fd, (i + n) % kPages); error != 0) return error;
      }
      return 0;
    }));
  }
  for (const pid_t reader : readers) EXPECT_EQ(ExitStatusOf(reader), 0);
}

TEST(Transport, AServerThatIsKilledLeavesErrorsToWhoAsks) {
  Served served;
  const std::string path = PatternFile(served);
  std::vector<pid_t> readers;
  for (size_t i = 0; i < 20; ++i) {
    readers.push_back(ForkReader(path, [i](int fd) {
      for (;;) {
        if (const int error = ReadPage(fd, i); error != 0) return error;
      }
    }));
  }
  ::usleep(50'000);
  served.Kill();
  for (const pid_t reader : readers) {
    const int error = ExitStatusOf(reader);
    EXPECT_TRUE(test::IsErrorOfADeadMount(error)) << error;
  }
  EXPECT_EQ(::access(served.path("never looked for").c_str(), F_OK), -1);
  EXPECT_EQ(errno, ENOTCONN);
}

TEST(Transport, SignalsAndKilledReadersHinderNobodyElse) {
  const Served served;
  const std::string path = PatternFile(served);
  std::vector<pid_t> readers;
  for (size_t i = 0; i < 20; ++i) {
    readers.push_back(ForkReader(path, [i](int fd) {
      struct sigaction action{};
      action.sa_handler = [](int) {};
      ::sigaction(SIGALRM, &action, nullptr);
      const itimerval often{.it_interval = {.tv_sec = 0, .tv_usec = 500}, .it_value = {.tv_sec = 0, .tv_usec = 500}};
      ::setitimer(ITIMER_REAL, &often, nullptr);
      for (;;) {
        if (const int error = ReadPage(fd, i); error != 0 && error != EINTR) return error;
      }
    }));
  }
  for (const pid_t reader : readers) {
    ::usleep(10'000);
    EXPECT_EQ(::kill(reader, SIGKILL), 0);
    EXPECT_EQ(ExitStatusOf(reader), -1) << "it was killed while it read";
  }
  EXPECT_EQ(ExitStatusOf(ForkReader(path,
                                    [](int fd) {
                                      for (size_t page = 0; page < kPages; ++page) {
                                        if (const int error = ReadPage(fd, page); error != 0) return error;
                                      }
                                      return 0;
                                    })),
            0);
}

// As root: without root everything runs once more anyway.
TEST(OverTheDevice, EverythingElseInThisProgramPasses) {
  if (::geteuid() != 0 || CheckRings() != RingSupport::kUsable || WantedTransport() == TransportChoice::kDevice) return;
  const std::string self = io::ReadLink("/proc/self/exe").value();
  io::Environment environment = io::CurrentEnvironment();
  environment[kDeviceWanted] = "1";
  const auto run =
      io::RunAndCapture({.argv = {self, "--gtest_brief=1", "--gtest_color=no", "--gtest_filter=-WithoutRoot.*"},
                         .environment = environment,
                         .working_directory = "/tmp"});
  ASSERT_TRUE(run.has_value()) << run.error().message();
  EXPECT_EQ(run->status.AsShell(), 0) << run->standard_output << run->standard_error;
}

}  // namespace
}  // namespace pgstrata::fuse
