#include "tests/e2e/mounts.h"

#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <stdexcept>

#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "foundation/io/proc.h"
#include "tests/support/private_mounts.h"

namespace pgstrata::test {
namespace {

using namespace std::chrono_literals;

// Processes of the server with this data directory: its postmaster has it on the command line, the others are its
// children.
std::vector<pid_t> ServerProcesses(pid_t postmaster) {
  std::vector<pid_t> found = {postmaster};
  for (const pid_t pid : io::ListProcesses()) {
    const auto stat = io::ReadWholeFile(io::ProcPath(pid, "stat"));
    if (!stat) continue;
    const std::string after_name = stat->substr(stat->find_last_of(')') + 1);
    const auto fields = Split(TrimWhitespace(after_name), ' ');
    if (fields.size() > 1 && ParseDecimal(fields[1]) == static_cast<uint64_t>(postmaster)) found.push_back(pid);
  }
  return found;
}

}  // namespace

HandStartedServer::HandStartedServer(std::string data_directory, const std::string& name,
                                     const TemporaryDirectory& place)
    : data_directory_(std::move(data_directory)),
      socket_directory_(place.MakeDirectory(name)),
      log_file_(place.Path(name + ".log")) {
  process_ = RunInBackground({"postgres", "-D", data_directory_, "-c", "listen_addresses=", "-c",
                              "unix_socket_directories=" + socket_directory_, "-c", "fsync=on", "-c",
                              "shared_buffers=16MB", "-c", "logging_collector=off"},
                             log_file_);
  const bool answers = Eventually([&] {
    const auto ended = process_.Wait(0ms);
    if (ended && *ended) throw std::runtime_error("the server ended: " + Log());
    return TrySql("select 1").status.AsShell() == 0;
  });
  if (!answers) throw std::runtime_error("the server does not answer: " + Log());
}

HandStartedServer::~HandStartedServer() { Kill(); }

io::Captured HandStartedServer::TrySql(const std::string& sql) const {
  return TryRun({"psql", "-h", socket_directory_, "-d", "postgres", "-U", "postgres", "-XAtq", "-v", "ON_ERROR_STOP=1",
                 "-c", sql});
}

std::string HandStartedServer::Sql(const std::string& sql) const {
  const auto run = TrySql(sql);
  if (run.status.AsShell() != 0) throw std::runtime_error(sql + ": " + run.standard_error + Log());
  return std::string(TrimWhitespace(run.standard_output));
}

void HandStartedServer::Stop() {
  if (!process_.valid()) return;
  static_cast<void>(process_.Signal(SIGINT));
  const auto ended = process_.Wait(kPatience);
  if (!ended || !*ended) throw std::runtime_error("the server does not stop: " + Log());
  process_ = io::Process();
}

void HandStartedServer::Kill() {
  if (!process_.valid()) return;
  static_cast<void>(process_.Signal(SIGSTOP));  // so that it starts nobody meanwhile
  std::vector<io::Process> processes;
  for (const pid_t pid : ServerProcesses(process_.pid())) {
    if (auto process = io::Process::Adopt(pid)) processes.push_back(*std::move(process));
  }
  for (auto& process : processes) static_cast<void>(process.Signal(SIGKILL));
  static_cast<void>(process_.Wait(kPatience));
  for (auto& process : processes) static_cast<void>(process.Wait(kPatience));
  process_ = io::Process();
}

std::string HandStartedServer::Log() const { return io::ReadWholeFile(log_file_).value_or(""); }

const std::string& Mounts::Backup() {
  static const std::string backup = BackupOfClusterWith("create table t as select i from generate_series(1, 1000) i");
  return backup;
}

Mounts::Mounts() {
  static_cast<void>(program_.directory().MakeDirectory("mnt"));
  // The mounts that die here are not for the `doctor` of tests beside this one, nor theirs for ours.
  EXPECT_TRUE(::geteuid() != 0 || EnterPrivateMounts()) << std::strerror(errno);
}

Mounts::~Mounts() {
  if (IsMounted()) static_cast<void>(Run({"unmount", "--force", mnt()}));
  EXPECT_FALSE(IsMounted());
}

io::Captured Mounts::Run(const std::vector<std::string>& arguments) const {
  if (!as_user_) return program_.Run(arguments);
  std::vector<std::string> argv = {PgstrataProgram::Path()};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return TryRun(argv, {{"PGSTRATA_HOME", program_.home()}});
}

std::string Mounts::Done(const std::vector<std::string>& arguments) const {
  const auto run = Run(arguments);
  EXPECT_EQ(run.status.AsShell(), 0) << arguments[0] << ": " << run.standard_error;
  return run.standard_output + run.standard_error;
}

std::string Mounts::Failure(int status, const std::vector<std::string>& arguments) const {
  const auto run = Run(arguments);
  EXPECT_EQ(run.status.AsShell(), status) << arguments[0] << ": " << run.standard_output << run.standard_error;
  return run.standard_error;
}

std::string Mounts::Mount(const std::vector<std::string>& more) const {
  std::vector<std::string> arguments = {"mount", Backup(), mnt(), "--diff-dir", diff()};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return Done(arguments);
}

codec::Json Mounts::Stat(const std::string& place) const {
  auto json = codec::ParseJson(Done({"stat", "--json", place}));
  return json ? *std::move(json) : codec::Json();
}

pid_t Mounts::WorkerPid() const { return Stat(mnt()).value("pid", 0); }

void Mounts::KillWorker() const {
  ASSERT_TRUE(KillAndWait(WorkerPid()));
  ASSERT_TRUE(Eventually([&] { return Run({"stat", mnt()}).status.AsShell() == 74; }));
}

bool Mounts::IsMounted() const { return io::ReadWholeFile("/proc/self/mountinfo")->contains(' ' + mnt() + ' '); }

void Mounts::Write(const std::string& name, const std::string& text) const {
  test::Run({"/bin/sh", "-c", "printf %s \"$1\" > \"$0\"", mnt() + '/' + name, text});
}

std::string Mounts::Read(const std::string& name) const { return test::Run({"/bin/cat", mnt() + '/' + name}); }

std::string UserName(const ::testing::TestParamInfo<bool>& info) { return info.param ? "WithoutRoot" : "AsUs"; }

INSTANTIATE_TEST_SUITE_P(Users, MountsAs, ::testing::Values(false, true), UserName);

}  // namespace pgstrata::test
