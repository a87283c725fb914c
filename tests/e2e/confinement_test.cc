// What `open` says where the kernel takes no network away from a server, or does not confine what it writes. The
// kernel refuses for real: by a seccomp filter, as containers have one, on the thread that starts the program.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <optional>
#include <thread>

#include "foundation/io/file.h"
#include "tests/e2e/traps.h"

namespace pgstrata::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kFreeWriting = "cannot be confined";

// A system call that fails; with `flags` only where its first argument has one of them.
struct Refusal {
  uint32_t system_call = 0;
  std::optional<uint32_t> flags;
  uint16_t error = 0;
};
// As for a process without CAP_SYS_ADMIN where user namespaces are not for everybody.
constexpr Refusal kNoNetworkNamespaces{SYS_unshare, CLONE_NEWNET | CLONE_NEWUSER, EPERM};
// As of a machine that has no process, and no namespace, left for this user.
constexpr std::array kNamespacesExhausted = {Refusal{SYS_unshare, CLONE_NEWNET | CLONE_NEWUSER, EAGAIN},
                                             Refusal{SYS_unshare, CLONE_NEWNET | CLONE_NEWUSER, ENOSPC}};
// As of a kernel that was built without it.
constexpr Refusal kNoLandlock{SYS_landlock_create_ruleset, std::nullopt, ENOSYS};

// Whether this machine is set to have no namespaces.
bool NoneAreAllowed() {
  const auto is_zero = [](const char* path) { return io::ReadWholeFile(path).value_or("") == "0\n"; };
  return is_zero("/proc/sys/user/max_net_namespaces") || is_zero("/proc/sys/user/max_user_namespaces");
}

// For the calling thread and what it starts. Needs root: without it set-user-ID programs would lose their rights too.
bool Refuse(const Refusal& refusal) {
  const uint32_t allow = SECCOMP_RET_ALLOW;
  const uint32_t refuse = SECCOMP_RET_ERRNO | refusal.error;
  const auto first_argument = static_cast<uint32_t>(offsetof(seccomp_data, args));  // its lower half, little-endian
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, refusal.system_call, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, first_argument),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, refusal.flags.value_or(0), 0, static_cast<uint8_t>(refusal.flags ? 1 : 0)),
      BPF_STMT(BPF_RET | BPF_K, refuse),
      BPF_STMT(BPF_RET | BPF_K, allow),
  };
  const sock_fprog program{.len = std::size(code), .filter = code};
  return ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
}

// As us, and as an ordinary user.
class Confinement : public Traps, public ::testing::WithParamInterface<bool> {
 protected:
  void SetUp() override { ASSERT_EQ(::geteuid(), 0U) << "this test needs root: it forbids system calls"; }

  io::Captured Run(const std::vector<std::string>& arguments) const {
    if (!GetParam()) return program_.Run(arguments);
    std::vector<std::string> argv = {PgstrataProgram::Path()};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return TryRun(argv, {{"PGSTRATA_HOME", program_.home()}, {"PG_BIN", PostgresBin()}});
  }
  // Whether the machine allows it: in a chroot, only root may have a namespace.
  bool NetworkCanBeTakenAway() const {
    const std::vector<std::string> argv = {"/usr/bin/unshare", GetParam() ? "-Un" : "-n", "/bin/true"};
    const auto tried = GetParam() ? TryRun(argv) : *io::RunAndCapture({.argv = argv});
    return tried.status.AsShell() == 0;
  }
  io::Captured RunRefused(const Refusal& refusal, const std::vector<std::string>& arguments) const {
    io::Captured run;
    std::thread([&] {
      EXPECT_TRUE(Refuse(refusal)) << std::strerror(errno);
      run = Run(arguments);
    }).join();
    return run;
  }
  static std::vector<std::string> OpenFor(const std::string& source, const std::string& sql) {
    return {"open", source, "-c", sql, "--", "-XAtq", "-v", "ON_ERROR_STOP=1"};
  }
};
INSTANTIATE_TEST_SUITE_P(Users, Confinement, ::testing::Values(false, true),
                         [](const auto& info) { return info.param ? "WithoutRoot" : "AsUs"; });

TEST_P(Confinement, ANetworkThatCannotBeTakenAwayIsWarnedOfAndThere) {
  PostgresCluster cluster;
  Listener production;
  cluster.Start();
  cluster.Stop();
  const std::string connect = "copy (select 1) to program 'cat > /dev/null; bash -c \"echo > /dev/tcp/127.0.0.1/" +
                              production.port() + "\"; true'; select 1";
  const auto usual = Run(OpenFor(cluster.data_directory(), connect));
  EXPECT_EQ(usual.status.AsShell(), 0) << usual.standard_error;
  const bool allowed_here = NetworkCanBeTakenAway();
  EXPECT_EQ(usual.standard_error.contains(kSharedNetworkWarning), !allowed_here) << usual.standard_error;
  EXPECT_EQ(production.TakeConnections(), allowed_here ? 0 : 1);

  const auto refused = RunRefused(kNoNetworkNamespaces, OpenFor(cluster.data_directory(), connect));
  EXPECT_EQ(refused.status.AsShell(), 0) << refused.standard_error;
  EXPECT_EQ(refused.standard_output, "1\n");
  EXPECT_THAT(refused.standard_error, AllOf(HasSubstr(kSharedNetworkWarning), HasSubstr("not permitted")));
  EXPECT_EQ(production.TakeConnections(), 1);
  EXPECT_THAT(RunRefused(kNoNetworkNamespaces, {"doctor"}).standard_output, HasSubstr("share this machine's"));

  // Who allowed it needs no warning.
  std::vector<std::string> allowed = OpenFor(cluster.data_directory(), "select 1");
  allowed.insert(allowed.begin() + 2, "--allow-network");
  EXPECT_THAT(RunRefused(kNoNetworkNamespaces, allowed).standard_error, Not(HasSubstr(kSharedNetworkWarning)));
  EXPECT_EQ(program_.Leftovers(), "");
}

// Nobody expects that a server has a network just this time: unlike on a machine that never takes it away.
TEST_P(Confinement, AServerIsNotGivenTheNetworkBecauseTheMachineIsShortOfSomething) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Stop();
  for (const auto& exhausted : kNamespacesExhausted) {
    if (exhausted.error == ENOSPC && NoneAreAllowed()) continue;  // there it says just that
    const auto refused = RunRefused(exhausted, OpenFor(cluster.data_directory(), "select 1"));
    EXPECT_NE(refused.status.AsShell(), 0) << refused.standard_error;
    EXPECT_EQ(refused.standard_output, "");
    EXPECT_THAT(refused.standard_error, HasSubstr("--allow-network"));
  }
  EXPECT_EQ(program_.Leftovers(), "");
}

TEST_P(Confinement, WritingThatCannotBeConfinedIsWarnedOfWhereWalIsReplayed) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Psql("create table t as select 42 as i");
  cluster.Kill();
  const auto ask = OpenFor(cluster.data_directory(), "select i from t");
  EXPECT_THAT(Run(ask).standard_error, Not(HasSubstr(kFreeWriting)));

  const auto refused = RunRefused(kNoLandlock, ask);
  EXPECT_EQ(refused.status.AsShell(), 0) << refused.standard_error;
  EXPECT_EQ(refused.standard_output, "42\n");
  EXPECT_THAT(refused.standard_error, AllOf(HasSubstr("warning"), HasSubstr(kFreeWriting)));
  EXPECT_THAT(RunRefused(kNoLandlock, {"doctor"}).standard_output, HasSubstr("may write whatever their user may"));

  // A stopped cluster replays nothing.
  cluster.Start();
  cluster.Stop();
  const auto stopped = RunRefused(kNoLandlock, ask);
  EXPECT_EQ(stopped.standard_output, "42\n") << stopped.standard_error;
  EXPECT_THAT(stopped.standard_error, Not(HasSubstr(kFreeWriting)));
  EXPECT_EQ(program_.Leftovers(), "");
}

}  // namespace
}  // namespace pgstrata::test
