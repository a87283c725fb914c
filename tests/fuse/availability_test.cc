// What CheckFuse says where something is missing. Each case in a child of its own, which it takes apart; that takes
// root.
#include "volume/fuse/availability.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string>

#include "tests/support/private_mounts.h"

namespace pgstrata::fuse {
namespace {

// The problem that CheckFuse finds after `prepare`, or "usable".
std::string ProblemAfter(const auto& prepare) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return "no pipe";
  const pid_t child = ::fork();
  if (child == 0) {
    std::string said = "could not prepare";
    if (prepare()) {
      const Availability availability = CheckFuse();
      said = availability.usable ? "usable" : availability.problem;
      if (!availability.usable && availability.hint.empty()) said += " (without a hint)";
    }
    [[maybe_unused]] const auto written = ::write(ends[1], said.data(), said.size());
    ::_exit(0);
  }
  ::close(ends[1]);
  std::array<char, 256> said{};
  const ssize_t size = ::read(ends[0], said.data(), said.size());
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
  return {said.data(), static_cast<size_t>(std::max<ssize_t>(size, 0))};
}

bool EmptyDev() { return test::EnterPrivateMounts() && ::mount("none", "/dev", "tmpfs", 0, nullptr) == 0; }
bool BecomeNobody() { return ::setresgid(65534, 65534, 65534) == 0 && ::setresuid(65534, 65534, 65534) == 0; }
bool DropCapabilities() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, 2> none{};
  return ::syscall(SYS_capset, &header, none.data()) == 0;
}

TEST(Availability, RootAndOthersCanMountHere) {
  if (::geteuid() != 0) return;

  EXPECT_EQ(ProblemAfter([] { return true; }), "usable");
  EXPECT_EQ(ProblemAfter(BecomeNobody), "usable");
}

TEST(Availability, AMissingDeviceIsNamed) {
  if (::geteuid() != 0) return;
  EXPECT_EQ(ProblemAfter(EmptyDev), "/dev/fuse does not exist");
}

TEST(Availability, ADeviceThatMayNotBeOpenedIsNamed) {
  if (::geteuid() != 0) return;

  EXPECT_EQ(ProblemAfter([] {
              return EmptyDev() && ::close(::open("/dev/fuse", O_CREAT | O_RDWR | O_CLOEXEC, 0600)) == 0 &&
                     BecomeNobody();
            }),
            "/dev/fuse may not be opened");
}

TEST(Availability, AMissingFusermountIsNamedWithoutRoot) {
  if (::geteuid() != 0) return;

  EXPECT_EQ(ProblemAfter([] { return ::setenv("PATH", "/nowhere", 1) == 0 && BecomeNobody(); }),
            "fusermount3 is not installed");
}

TEST(Availability, AMissingListOfMountsIsNamedWithoutRoot) {
  if (::geteuid() != 0) return;

  EXPECT_EQ(ProblemAfter([] {
              return test::EnterPrivateMounts() && ::mount("none", "/etc", "tmpfs", 0, nullptr) == 0 && BecomeNobody();
            }),
            "/etc/mtab does not exist: fusermount3 could not unmount");
}

TEST(Availability, RootWithoutTheCapabilityIsTold) {
  if (::geteuid() != 0) return;

  EXPECT_EQ(ProblemAfter(DropCapabilities), "root may not mount here");
}

}  // namespace
}  // namespace pgstrata::fuse
