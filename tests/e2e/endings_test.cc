// However a session ends, nothing is left behind: no process, no mount, no directory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <thread>

#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "tests/e2e/pgstrata_program.h"
#include "tests/support/private_mounts.h"

namespace pgstrata::test {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class Endings : public ::testing::Test {
 protected:
  static const std::string& Source() {
    static const std::string source = StoppedClusterWith("create table t as select i from generate_series(1, 1000) i");
    return source;
  }

  // The session directory of the only session.
  [[nodiscard]] std::string SessionPath() const {
    const auto names = io::ListDirectory(program_.home() + "/run");
    for (const auto& name : *names) {
      if (name.starts_with("open-")) return program_.home() + "/run/" + name;
    }
    return {};
  }

  [[nodiscard]] pid_t ServerPid() const {
    const auto text = io::ReadWholeFile(SessionPath() + "/server.pid");
    return static_cast<pid_t>(*ParseDecimal(TrimWhitespace(*text)));
  }

  // The process that serves the mount: it holds the worker's log.
  [[nodiscard]] pid_t WorkerPid() const {
    const auto names = io::ListDirectory("/proc");
    for (const auto& name : *names) {
      const auto command = io::ReadWholeFile("/proc/" + name + "/comm");
      if (command && *command == "pgstrata-worker\n" && HoldsFileIn(name, SessionPath())) {
        return static_cast<pid_t>(*ParseDecimal(name));
      }
    }
    return 0;
  }

  static bool HoldsFileIn(const std::string& pid, const std::string& directory) {
    const auto names = io::ListDirectory("/proc/" + pid + "/fd");
    if (!names) return false;
    for (const auto& name : *names) {
      const auto target = io::ReadLink("/proc/" + pid + "/fd/" + name);
      if (target && target->starts_with(directory)) return true;
    }
    return false;
  }

  void ExpectNothingLeftSoon() {
    EXPECT_TRUE(Eventually([this] { return program_.Leftovers().empty(); })) << program_.Leftovers();
  }

  PgstrataProgram program_;
};

TEST_F(Endings, PsqlsStatusIsPassedOn) {
  EXPECT_EQ(program_.Run({"open", Source(), "-c", "select 1"}).status.AsShell(), 0);
  EXPECT_EQ(program_.Run({"open", Source(), "-c", "select nonsense"}).status.AsShell(), 1);
  EXPECT_EQ(program_.Run({"open", Source(), "-f", "/no/such/file"}).status.AsShell(), 1);
  EXPECT_EQ(program_.Run({"open", Source(), "--exec", "--", "/bin/sh", "-c", "exit 42"}).status.AsShell(), 42);
  EXPECT_EQ(program_.Run({"open", Source(), "--exec", "--", "/bin/sh", "-c", "kill -9 $$"}).status.AsShell(), 137);
  EXPECT_EQ(program_.Leftovers(), "");
}

TEST_F(Endings, OnlyTheClientsOutputIsOnStandardOutput) {
  const auto run = program_.Run({"open", Source(), "-c", "select 42", "--", "-XAt"});
  EXPECT_EQ(run.standard_output, "42\n");
  EXPECT_THAT(run.standard_error, HasSubstr("opened"));
  const auto quiet = program_.Run({"open", Source(), "-q", "-c", "select 42", "--", "-XAt"});
  EXPECT_EQ(quiet.standard_error, "");
}

TEST_F(Endings, CommandsAndFilesRunInTheOrderOfTheCommandLine) {
  const std::string file = program_.directory().WriteFile("two.sql", "select 'two';\n");
  const auto run =
      program_.Run({"open", Source(), "-c", "select 'one'", "-f", file, "-c", "select 'three'", "--", "-XAt"});
  EXPECT_EQ(run.standard_output, "one\ntwo\nthree\n");
}

TEST_F(Endings, SignalsEndItWithTheirStatus) {
  for (const int signal : {SIGTERM, SIGHUP, SIGQUIT}) {
    io::Process process = program_.StartWaiting(Source());
    ASSERT_TRUE(process.Signal(signal));
    const auto status = process.Wait(kPatience);
    ASSERT_TRUE(status && *status) << "signal " << signal;
    EXPECT_EQ((*status)->AsShell(), 128 + signal);
    EXPECT_EQ(program_.Leftovers(), "") << "signal " << signal;
  }
}

TEST_F(Endings, InterruptEndsARunningStatement) {
  io::Process process = program_.Start({"open", Source(), "-c", "select pg_sleep(1000)"});
  ASSERT_TRUE(Eventually([this] { return io::ReadWholeFile(program_.directory().Path("err"))->contains("opened"); }));
  std::this_thread::sleep_for(300ms);
  ASSERT_TRUE(process.Signal(SIGINT));
  const auto status = process.Wait(kPatience);
  ASSERT_TRUE(status && *status);
  EXPECT_NE((*status)->AsShell(), 0);
  EXPECT_EQ(program_.Leftovers(), "");
}

TEST_F(Endings, SignalsWhileItOpensLeaveNothing) {
  for (const int delay_ms : {0, 2, 5, 10, 20, 40, 60, 80, 120}) {
    io::Process process = program_.Start({"open", Source(), "-c", "select pg_sleep(5)"});
    std::this_thread::sleep_for(std::chrono::milliseconds(delay_ms));
    ASSERT_TRUE(process.Signal(SIGTERM));
    const auto status = process.Wait(kPatience);
    ASSERT_TRUE(status && *status) << delay_ms;
    EXPECT_EQ((*status)->AsShell(), 128 + SIGTERM) << delay_ms;
    EXPECT_EQ(program_.Leftovers(), "") << delay_ms;
  }
}

TEST_F(Endings, KilledCommandIsCleanedUpByItsWorker) {
  io::Process process = program_.StartWaiting(Source());
  ASSERT_TRUE(process.Signal(SIGKILL));
  ASSERT_TRUE(process.Wait(kPatience));
  ExpectNothingLeftSoon();
}

// Among them the moments at which the server is stopped to hold psql's connection. Before there is a worker, only
// doctor knows of what was begun.
TEST_F(Endings, KilledAtAnyMomentItIsCleanedUpOrRepaired) {
  for (int delay_ms = 0; delay_ms <= 400; delay_ms += 40) {
    io::Process process = program_.Start({"open", Source(), "-q", "-c", "select 1"});
    std::this_thread::sleep_for(std::chrono::milliseconds(delay_ms));
    ASSERT_TRUE(process.Signal(SIGKILL));
    ASSERT_TRUE(process.Wait(kPatience));
    const bool nothing_left = Eventually([this] {
      static_cast<void>(program_.Run({"doctor", "--repair"}));
      return program_.Leftovers().empty();
    });
    EXPECT_TRUE(nothing_left) << delay_ms << ": " << program_.Leftovers();
  }
}

TEST_F(Endings, KilledWorkerEndsTheSessionWithAnError) {
  io::Process process = program_.StartWaiting(Source());
  const pid_t worker = WorkerPid();
  ASSERT_GT(worker, 0);
  ASSERT_TRUE(KillAndWait(worker));
  const auto status = process.Wait(kPatience);
  ASSERT_TRUE(status && *status);
  EXPECT_EQ((*status)->AsShell(), 74);
  EXPECT_THAT(*io::ReadWholeFile(program_.directory().Path("err")), HasSubstr("ended while it was in use"));
  EXPECT_EQ(program_.Leftovers(), "");
}

TEST_F(Endings, KilledServerLeavesNothing) {
  io::Process process = program_.StartWaiting(Source());
  ASSERT_TRUE(KillAndWait(ServerPid()));
  ASSERT_TRUE(process.Signal(SIGTERM));
  ASSERT_TRUE(process.Wait(kPatience));
  EXPECT_EQ(program_.Leftovers(), "");
}

TEST_F(Endings, DoctorRepairsWhatNobodyCouldCleanUp) {
  io::Process process = program_.StartWaiting(Source());
  const pid_t worker = WorkerPid();
  ASSERT_GT(worker, 0);
  ASSERT_EQ(::kill(worker, SIGSTOP), 0);
  ASSERT_TRUE(process.Signal(SIGKILL));
  ASSERT_TRUE(process.Wait(kPatience));
  ASSERT_TRUE(KillAndWait(worker));
  ASSERT_TRUE(Eventually([&] { return !io::Exists("/proc/" + std::to_string(worker)); }));
  const auto seen = program_.Run({"doctor"});
  EXPECT_THAT(seen.standard_output, HasSubstr("left behind"));
  EXPECT_THAT(seen.standard_output, HasSubstr("--repair"));
  EXPECT_NE(seen.status.AsShell(), 0);
  EXPECT_NE(program_.Leftovers(), "");
  const auto repaired = program_.Run({"doctor", "--repair"});
  EXPECT_THAT(repaired.standard_output, HasSubstr("removed"));
  EXPECT_EQ(program_.Leftovers(), "");
  EXPECT_EQ(program_.Run({"doctor"}).status.AsShell(), 0);
}

TEST_F(Endings, DoctorLeavesALivingSessionAlone) {
  io::Process process = program_.StartWaiting(Source());
  EXPECT_EQ(program_.Run({"doctor", "--repair"}).status.AsShell(), 0);
  EXPECT_TRUE(io::Exists(SessionPath() + "/mnt/PG_VERSION"));
  ASSERT_TRUE(process.Signal(SIGTERM));
  ASSERT_TRUE(process.Wait(kPatience));
  EXPECT_EQ(program_.Leftovers(), "");
}

TEST_F(Endings, ManyAtOnceDoNotDisturbEachOther) {
  constexpr size_t kCount = 5;
  std::vector<io::Process> processes;
  processes.reserve(kCount);
  while (processes.size() < kCount) {
    processes.push_back(
        program_.Start({"open", Source(), "-q", "-c", "delete from t", "-c", "select count(*) from t"}));
  }
  for (auto& process : processes) {
    const auto status = process.Wait(kPatience);
    ASSERT_TRUE(status && *status);
    EXPECT_EQ((*status)->AsShell(), 0);
  }
  EXPECT_EQ(program_.Leftovers(), "");
}

// A bare root may have /dev without the terminals that are mounted below it; then this process gets some of its own.
void ProvideTerminals() {
  if (io::Exists("/dev/pts/ptmx") || ::geteuid() != 0) return;
  ASSERT_TRUE(EnterPrivateMounts()) << std::strerror(errno);
  ASSERT_EQ(::mount("devpts", "/dev/pts", "devpts", 0, "newinstance,ptmxmode=0666"), 0);
}

TEST_F(Endings, ClosedTerminalLeavesNothing) {
  ProvideTerminals();
  const std::string path = PgstrataProgram::Path();
  const std::string home = program_.home();
  int terminal = -1;
  const pid_t pid = ::forkpty(&terminal, nullptr, nullptr, nullptr);
  ASSERT_GE(pid, 0);
  if (pid == 0) {
    ::setenv("PGSTRATA_HOME", home.c_str(), 1);
    ::execl(path.c_str(), "pgstrata", "open", Source().c_str(), nullptr);
    ::_exit(127);
  }
  std::string seen;
  ASSERT_TRUE(Eventually([&] {
    std::array<char, 4096> buffer{};
    const ssize_t count = ::read(terminal, buffer.data(), buffer.size());
    if (count > 0) seen.append(buffer.data(), static_cast<size_t>(count));
    return seen.contains("=#");
  })) << seen;
  // psql's prompt names the source.
  EXPECT_THAT(seen, HasSubstr(std::string(SplitLast(Source()).second) + " postgres=#"));
  ::close(terminal);
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(program_.Leftovers(), "");
}

}  // namespace
}  // namespace pgstrata::test
