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

// A process called "postgres", until the end of the test: as a server it works in its data directory.
class FakeServer {
 public:
  enum class Look { kAllowed, kOnlyForRoot };
  explicit FakeServer(const std::string& directory, Look look = Look::kAllowed, const char* name = "postgres")
      : pid_(::fork()) {
    if (pid_ == 0) {
      ::prctl(PR_SET_NAME, name);
      if (look == Look::kOnlyForRoot) ::prctl(PR_SET_DUMPABLE, 0);
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::chdir(directory.c_str()) != 0) ::_exit(1);
      (void)!::write(ready_.second, "", 1);
      while (true) ::pause();
    }
    char byte = 0;
    EXPECT_EQ(::read(ready_.first, &byte, 1), 1);
  }
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;
  ~FakeServer() {
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
  const FakeServer server("/", FakeServer::Look::kOnlyForRoot);
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

TEST(InUseTest, ServerThatWroteAnotherPidIsFoundByWhereItWorks) {
  const test::TemporaryDirectory directory;
  const std::string data = directory.MakeDirectory("data");
  const std::string copy = directory.MakeDirectory("copy");
  for (const auto* name : {"data", "copy"}) {
    // As a server in a container does: there it is process 1, and the directory has another path.
    (void)directory.WriteFile(std::string(name) + "/postmaster.pid", "1\n/var/lib/postgresql/data\n1\n5432\n");
  }
  EXPECT_FALSE(FindServerUsing(data).value().has_value());
  for (const auto* name : {"postgres", "postmaster"}) {
    const FakeServer server(data, FakeServer::Look::kAllowed, name);
    const auto found = FindServerUsing(data);
    ASSERT_TRUE(found.has_value() && found->has_value()) << name;
    EXPECT_EQ((*found)->pid, server.pid());
    EXPECT_FALSE(FindServerUsing(copy).value().has_value());
  }
  const FakeServer shell(data, FakeServer::Look::kAllowed, "sh");
  EXPECT_FALSE(FindServerUsing(data).value().has_value());
}

TEST(InUseTest, PlainCopyWhoseLinksLeadToARunningServersDirectoriesIsRefused) {
  const test::TemporaryDirectory outside;
  test::PostgresCluster cluster({.initdb = {"--waldir=" + outside.Path("wal")}});
  cluster.Start();
  const std::string space = outside.MakeDirectory("space");
  cluster.Psql("create tablespace space location '" + space + "'");
  const std::string oid = cluster.Psql("select oid from pg_tablespace where spcname = 'space'");
  const std::string copy = cluster.directory().Path("copy");
  test::CopyTree(cluster.data_directory(), copy);

  const auto expect_refused = [&](const std::string& part, const std::string& location) {
    const auto refused = Resolve({.source = copy});
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code(), ErrorCode::kBusy);
    EXPECT_THAT(refused.error().message(), HasSubstr(part + " of \"" + copy + '"'));
    EXPECT_THAT(refused.error().message(), HasSubstr(location));
    EXPECT_THAT(refused.error().message(), HasSubstr(std::to_string(cluster.pid())));
    EXPECT_THAT(refused.error().hint(), HasSubstr("-T OLD=NEW"));
    const auto looked_at = Resolve({.source = copy, .may_be_in_use = true});
    ASSERT_TRUE(looked_at.has_value());
    EXPECT_EQ(looked_at->used_by->pid, cluster.pid());
  };
  expect_refused("pg_wal", outside.Path("wal"));
  test::CopyTree(outside.Path("wal"), outside.Path("wal_copy"));
  ASSERT_TRUE(io::RemoveFile(copy + "/pg_wal").has_value());
  ASSERT_EQ(::symlink(outside.Path("wal_copy").c_str(), (copy + "/pg_wal").c_str()), 0);
  expect_refused("tablespace " + oid, space);

  cluster.Stop();
  EXPECT_TRUE(Resolve({.source = copy}).has_value());
}

TEST(InUseTest, BackupWithTablespacesAndWalOfItsOwnIsNobodys) {
  const test::TemporaryDirectory outside;
  test::PostgresCluster cluster({.initdb = {"--waldir=" + outside.Path("wal")}});
  cluster.Start();
  const std::string space = outside.MakeDirectory("space");
  cluster.Psql("create tablespace space location '" + space + "'");
  const std::string backup = cluster.BaseBackup(
      "backup", {"-T", space + '=' + outside.Path("space_copy"), "--waldir=" + outside.Path("wal_copy")});
  const auto resolved = Resolve({.source = backup});
  EXPECT_TRUE(resolved.has_value()) << resolved.error().message();
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
