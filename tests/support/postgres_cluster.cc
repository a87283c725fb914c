#include "tests/support/postgres_cluster.h"

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <thread>

#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "foundation/io/lock.h"
#include "postgres/client/environment.h"

namespace pgstrata::test {
namespace {

constexpr std::chrono::seconds kStartTimeout(60);
constexpr std::chrono::seconds kStopTimeout(30);

template <typename T>
T OrThrow(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message() + ' ' + result.error().hint());
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

io::SpawnOptions AsPostgres(std::vector<std::string> argv, const io::Environment& extra) {
  io::Environment environment = io::CurrentEnvironment();
  client::RemoveLibpqEnvironment(environment);
  for (const auto& [name, value] : extra) environment[name] = value;
  const auto user = PostgresUser();
  if (user) environment["HOME"] = user->home;
  if (!argv.empty() && !argv[0].contains('/') && io::Exists(PostgresProgram(argv[0])))
    argv[0] = PostgresProgram(argv[0]);
  // The working directory of the test may be closed to the other user.
  return {.argv = std::move(argv), .environment = std::move(environment), .user = user, .working_directory = "/"};
}

std::string Joined(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

void RunInitdb(const std::string& directory, const ClusterOptions& options) {
  std::vector<std::string> argv = {
      "initdb",          "-D", directory, "-U", options.superuser, "--no-sync", "-A", "trust", "--encoding=UTF8",
      "--locale=C.UTF-8"};
  argv.insert(argv.end(), options.initdb.begin(), options.initdb.end());
  Run(std::move(argv));
}

// ctest runs every case as a process of its own, so what many of them need is kept in the build directory: a directory
// for each `key`, which `make` makes.
std::string Kept(const std::string& key, const std::function<void(const std::string& path)>& make) {
  const std::string cache = PGSTRATA_TEST_CLUSTERS;
  const std::string full_key =
      Run({PostgresProgram("postgres"), "--version"}) + std::to_string(::geteuid()) + ' ' + key;
  const std::string kept = JoinPath(cache, std::to_string(std::hash<std::string>{}(full_key)));
  OrThrow(io::MakeDirectories(cache, 0755));
  Result<io::FileLock> lock = io::FileLock::TryAcquire(kept + ".lock");
  while (!lock) {
    if (lock.error().code() != ErrorCode::kBusy) OrThrow(std::move(lock));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    lock = io::FileLock::TryAcquire(kept + ".lock");
  }
  if (io::Exists(kept)) return kept;
  OrThrow(io::RemoveTree(kept + ".new"));
  make(kept + ".new");
  std::filesystem::rename(kept + ".new", kept);
  return kept;
}

// One for each way to call initdb.
std::string TemplateFor(const ClusterOptions& options) {
  return Kept(options.superuser + ' ' + Joined(options.initdb), [&](const std::string& path) {
    const TemporaryDirectory work;
    RunInitdb(work.Path("data"), options);
    CopyTree(work.Path("data"), path);
  });
}

bool NeedsOwnInitdb(const ClusterOptions& options) {
  if (options.own_identity) return true;
  for (const auto& argument : options.initdb) {
    if (argument.starts_with("--waldir") || argument.starts_with("-X")) return true;
  }
  return false;
}

}  // namespace

std::string PostgresBin() {
  const char* chosen = std::getenv("PGSTRATA_TEST_PG_BIN");
  return chosen != nullptr ? chosen : "/usr/lib/postgresql/15/bin";
}

std::string PostgresProgram(const std::string& name) { return JoinPath(PostgresBin(), name); }

std::optional<io::UserIdentity> PostgresUser() {
  if (::geteuid() != 0) return std::nullopt;
  static const io::UserIdentity user = OrThrow(io::FindUser("postgres"));
  return user;
}

io::Captured TryRun(std::vector<std::string> argv, const io::Environment& extra) {
  return OrThrow(io::RunAndCapture(AsPostgres(std::move(argv), extra)));
}

std::string Run(std::vector<std::string> argv, const io::Environment& extra) {
  const std::string shown = Joined(argv);
  io::Captured run = TryRun(std::move(argv), extra);
  if (run.status.AsShell() != 0) {
    throw std::runtime_error(shown + ": exit status " + std::to_string(run.status.AsShell()) + ": " +
                             run.standard_error + run.standard_output);
  }
  return run.standard_output;
}

io::Process RunInBackground(std::vector<std::string> argv, const std::string& output, const io::Environment& extra) {
  const io::File file = OrThrow(io::File::Open(output, O_WRONLY | O_CREAT | O_APPEND, 0644));
  io::SpawnOptions options = AsPostgres(std::move(argv), extra);
  options.standard_input = -1;
  options.standard_output = file.fd();
  options.standard_error = file.fd();
  options.signal_when_parent_dies = SIGKILL;
  return OrThrow(io::Process::Spawn(options));
}

TemporaryDirectory::TemporaryDirectory() {
  std::string name = "/tmp/pgstrata-test-XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) OrThrow(Status(FailErrno("could not make a temporary directory")));
  path_ = name;
  GiveToPostgres(path_);
  if (::chmod(path_.c_str(), 0755) != 0) OrThrow(Status(FailErrno("could not open up \"" + path_ + '"')));
}

TemporaryDirectory::~TemporaryDirectory() {
  if (auto removed = io::RemoveTree(path_); !removed) {
    (void)std::fprintf(stderr, "%s\n", removed.error().message().c_str());
  }
}

std::string TemporaryDirectory::MakeDirectory(const std::string& name) const {
  OrThrow(io::MakeDirectories(Path(name)));
  GiveToPostgres(Path(name));
  return Path(name);
}

std::string TemporaryDirectory::WriteFile(const std::string& name, const std::string& content) const {
  OrThrow(io::WriteWholeFile(Path(name), content));
  GiveToPostgres(Path(name));
  return Path(name);
}

void CopyTree(const std::string& from, const std::string& to) {
  const auto run = OrThrow(io::RunAndCapture({.argv = {"cp", "-a", "--reflink=auto", "--", from, to}}));
  if (run.status.AsShell() != 0) throw std::runtime_error(run.standard_error);
}

void GiveToPostgres(const std::string& path) {
  if (const auto user = PostgresUser()) OrThrow(io::ChangeOwner(path, user->uid, user->gid));
}

std::string StoppedClusterWith(const std::string& sql) {
  return Kept("stopped " + sql, [&](const std::string& path) {
    PostgresCluster cluster;
    cluster.Start();
    cluster.Psql(sql);
    cluster.Stop();
    CopyTree(cluster.data_directory(), path);
  });
}

std::string BackupOfClusterWith(const std::string& sql) {
  return Kept("backup " + sql, [&](const std::string& path) {
    PostgresCluster cluster;
    cluster.Start();
    cluster.Psql(sql);
    CopyTree(cluster.BaseBackup("backup", {"-X", "stream"}), path);
  });
}

PostgresCluster::PostgresCluster(ClusterOptions options)
    : options_(std::move(options)),
      data_directory_(directory_.Path("data")),
      socket_directory_(directory_.MakeDirectory("socket")) {
  if (!options_.copy_of.empty()) {
    CopyTree(options_.copy_of, data_directory_);
  } else if (NeedsOwnInitdb(options_)) {
    RunInitdb(data_directory_, options_);
  } else {
    CopyTree(TemplateFor(options_), data_directory_);
  }
  const std::string path = data_directory_ + "/postgresql.conf";
  std::string text = OrThrow(io::ReadWholeFile(path));
  for (const auto& line : options_.configuration) text += line + '\n';
  OrThrow(io::WriteWholeFile(path, text));
}

PostgresCluster::~PostgresCluster() {
  if (running()) (void)server_.End(SIGQUIT, kStopTimeout);
}

void PostgresCluster::Start(std::vector<std::string> arguments) {
  std::vector<std::string> argv = {"postgres", "-D", data_directory_, "-k", socket_directory_, "-p", "5432"};
  for (const char* setting : {"listen_addresses=", "fsync=off", "shared_buffers=32MB", "huge_pages=off",
                              "logging_collector=off", "lc_messages=C"}) {
    argv.insert(argv.end(), {"-c", setting});
  }
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  const io::File log = OrThrow(io::File::Open(log_file(), O_WRONLY | O_CREAT | O_APPEND, 0644));
  io::SpawnOptions spawn = AsPostgres(std::move(argv), {});
  spawn.standard_input = -1;
  spawn.standard_output = log.fd();
  spawn.standard_error = log.fd();
  spawn.new_session = true;
  spawn.signal_when_parent_dies = SIGQUIT;
  server_ = OrThrow(io::Process::Spawn(spawn));
  const auto deadline = std::chrono::steady_clock::now() + kStartTimeout;
  while (true) {
    const auto connection = client::Connection::Connect(Parameters());
    if (connection || connection.error().failure() == client::ConnectFailure::kRoleOrDatabase) return;
    const bool ended = OrThrow(server_.Wait(std::chrono::milliseconds(2))).has_value();
    if (ended || std::chrono::steady_clock::now() > deadline) {
      (void)server_.End(SIGQUIT, kStopTimeout);
      server_ = io::Process();
      throw std::runtime_error("the cluster did not start: " + OrThrow(io::ReadWholeFile(log_file())));
    }
  }
}

void PostgresCluster::Stop() {
  if (!running()) return;
  OrThrow(server_.End(SIGINT, kStopTimeout));
  server_ = io::Process();
}

void PostgresCluster::Kill() {
  if (!running()) return;
  // The children: they outlive a killed postmaster for a moment, and must not write once this function has returned.
  std::vector<io::Process> children;
  OrThrow(server_.Signal(SIGSTOP));
  const std::string list = "/proc/" + std::to_string(pid()) + "/task/" + std::to_string(pid()) + "/children";
  const std::string pids = OrThrow(io::ReadWholeFile(list));
  for (const auto word : Split(pids, ' ')) {
    const auto child = ParseDecimal(TrimWhitespace(word));
    if (!child) continue;
    if (auto process = io::Process::Adopt(static_cast<pid_t>(*child))) children.push_back(*std::move(process));
  }
  OrThrow(server_.End(SIGKILL, std::chrono::milliseconds(0)));
  for (auto& child : children) OrThrow(child.End(SIGKILL, std::chrono::milliseconds(0)));
  server_ = io::Process();
}

io::Captured PostgresCluster::TryPsql(const std::string& sql, const std::string& database) const {
  return TryRun({"psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql}, ProgramEnvironment(database));
}

std::string PostgresCluster::Psql(const std::string& sql, const std::string& database) const {
  const io::Captured run = TryPsql(sql, database);
  if (run.status.AsShell() != 0) throw std::runtime_error("psql: " + run.standard_error);
  return std::string(run.standard_output.substr(0, run.standard_output.find_last_not_of('\n') + 1));
}

client::Connection PostgresCluster::Connect(const std::string& database) const {
  auto connection = client::Connection::Connect(Parameters(database));
  if (!connection) throw std::runtime_error(connection.error().message());
  return *std::move(connection);
}

std::string PostgresCluster::BaseBackup(const std::string& name, const std::vector<std::string>& arguments) const {
  const std::string path = name.starts_with('/') ? name : directory_.Path(name);
  std::vector<std::string> argv = {"pg_basebackup", "-D", path, "--checkpoint=fast", "--no-sync"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  RunProgram(std::move(argv));
  return path;
}

std::string PostgresCluster::RunProgram(std::vector<std::string> argv) const {
  return Run(std::move(argv), ProgramEnvironment());
}

io::Environment PostgresCluster::ProgramEnvironment(const std::string& database) const {
  return {{"PGHOST", socket_directory_},
          {"PGPORT", std::to_string(port())},
          {"PGUSER", options_.superuser},
          {"PGDATABASE", database}};
}

client::ConnectionParameters PostgresCluster::Parameters(const std::string& database) const {
  return {.socket_directory = socket_directory_, .port = port(), .database = database, .user = options_.superuser};
}

}  // namespace pgstrata::test
