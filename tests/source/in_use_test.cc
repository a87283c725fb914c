#include "backup/source/in_use.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <utility>
#include <vector>

#include "backup/source/source.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "tests/support/postgres_cluster.h"

namespace pgstrata::source {
namespace {

using ::testing::HasSubstr;

// A process called "postgres" that nobody but root may look into, until the end of the test.
class OpaqueServer {
 public:
  OpaqueServer() : pid_(::fork()) {
    if (pid_ == 0) {
      ::prctl(PR_SET_NAME, "postgres");
      ::prctl(PR_SET_DUMPABLE, 0);
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      (void)!::write(ready_.second, "", 1);
      while (true) ::pause();
    }
    char byte = 0;
    EXPECT_EQ(::read(ready_.first, &byte, 1), 1);
  }
  OpaqueServer(const OpaqueServer&) = delete;
  OpaqueServer& operator=(const OpaqueServer&) = delete;
  ~OpaqueServer() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    ::close(ready_.first);
    ::close(ready_.second);
  }
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  static std::pair<int, int> Pipe() {
    int ends[2] = {-1, -1};
    EXPECT_EQ(::pipe(ends), 0);
    return {ends[0], ends[1]};
  }
  std::pair<int, int> ready_ = Pipe();
  pid_t pid_;
};

// The answer that a user gets who is not root: the process's id, 0 for no server, -1 for an error.
pid_t PidSeenWithoutPrivilege(const std::string& directory) {
  constexpr uid_t kNobody = 65534;
  int channel[2];
  if (::pipe(channel) != 0) return -1;
  const pid_t child = ::fork();
  if (child == 0) {
    if (::geteuid() == 0 && (::setgid(kNobody) != 0 || ::setuid(kNobody) != 0)) ::_exit(1);
    const auto server = FindServerUsing(directory);
    const pid_t seen = !server ? -1 : *server ? (*server)->pid : 0;
    ::_exit(::write(channel[1], &seen, sizeof seen) == sizeof seen ? 0 : 1);
  }
  ::close(channel[1]);
  pid_t seen = -1;
  if (::read(channel[0], &seen, sizeof seen) != sizeof seen) seen = -1;
  ::close(channel[0]);
  ::waitpid(child, nullptr, 0);
  return seen;
}

TEST(InUseTest, RunningServerIsFoundAndItsCopyIsNot) {
  test::PostgresCluster cluster;
  cluster.Start();
  const auto server = FindServerUsing(cluster.data_directory());
  ASSERT_TRUE(server.has_value()) << server.error().message();
  ASSERT_TRUE(server->has_value());
  EXPECT_EQ((*server)->pid, cluster.pid());

  const std::string copy = cluster.directory().Path("copy");
  test::CopyTree(cluster.data_directory(), copy);
  EXPECT_TRUE(io::Exists(copy + "/postmaster.pid"));
  EXPECT_FALSE(FindServerUsing(copy).value().has_value());
}

TEST(InUseTest, ResolveRefusesARunningServersDirectoryUnlessItIsOnlyLookedAt) {
  test::PostgresCluster cluster;
  cluster.Start();
  const auto refused = Resolve({.source = cluster.data_directory()});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), ErrorCode::kBusy);
  EXPECT_THAT(refused.error().message(), HasSubstr(std::to_string(cluster.pid())));
  EXPECT_FALSE(refused.error().hint().empty());
  const auto looked_at = Resolve({.source = cluster.data_directory(), .may_be_in_use = true});
  ASSERT_TRUE(looked_at.has_value());
  EXPECT_EQ(looked_at->used_by->pid, cluster.pid());
}

TEST(InUseTest, StaleLockFileOfACrashIsNoServer) {
  test::PostgresCluster cluster;
  cluster.Start();
  cluster.Kill();
  ASSERT_TRUE(io::Exists(cluster.data_directory() + "/postmaster.pid"));
  EXPECT_FALSE(FindServerUsing(cluster.data_directory()).value().has_value());
  EXPECT_TRUE(Resolve({.source = cluster.data_directory()}).has_value());
}

TEST(InUseTest, WithoutTheRightToLookAServerIsKnownByItsName) {
  const OpaqueServer server;
  const test::TemporaryDirectory directory;
  const std::string data = directory.MakeDirectory("data");
  const std::string copy = directory.MakeDirectory("copy");
  for (const auto* name : {"data", "copy"}) {
    const std::string path = directory.WriteFile(std::string(name) + "/postmaster.pid",
                                                 std::to_string(server.pid()) + '\n' + data + "\n1\n5432\n");
    ASSERT_EQ(::chmod(path.c_str(), 0644), 0);
    ASSERT_EQ(::chmod(directory.Path(name).c_str(), 0755), 0);
  }
  ASSERT_EQ(::chmod(directory.path().c_str(), 0755), 0);
  EXPECT_EQ(PidSeenWithoutPrivilege(data), server.pid());
  EXPECT_EQ(PidSeenWithoutPrivilege(copy), 0);
}

TEST(InUseTest, ReusedPidIsNoServer) {
  const test::TemporaryDirectory directory;
  for (const auto& content : std::vector<std::string>{std::to_string(::getpid()) + "\n/elsewhere\n", "1\n", "",
                                                      "no number", "-1\n", "99999999999\n"}) {
    (void)directory.WriteFile("postmaster.pid", content);
    const auto server = FindServerUsing(directory.path());
    ASSERT_TRUE(server.has_value()) << content;
    EXPECT_FALSE(server->has_value()) << content;
  }
}

TEST(InUseTest, StandAloneBackendCounts) {
  const test::TemporaryDirectory directory;
  (void)directory.WriteFile("postmaster.pid", "-" + std::to_string(::getpid()) + "\n");
  const std::string before = io::ResolvePath(".").value();
  ASSERT_EQ(::chdir(directory.path().c_str()), 0);
  const auto server = FindServerUsing(directory.path());
  ASSERT_EQ(::chdir(before.c_str()), 0);
  ASSERT_TRUE(server.has_value() && server->has_value());
  EXPECT_EQ((*server)->pid, ::getpid());
}

}  // namespace
}  // namespace pgstrata::source
