#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <ostream>

#include "app/cli/branch_command.h"
#include "app/cli/client_process.h"
#include "app/cli/exit_status.h"
#include "branch/branch/branch_edit.h"
#include "branch/branch/cluster_plan.h"
#include "branch/branch/home.h"
#include "branch/branch/psql.h"
#include "foundation/base/text.h"
#include "foundation/io/file.h"
#include "postgres/client/environment.h"

namespace pgstrata::cli {
namespace {

Result<branch::BranchInfo> RunningBranch(const std::string& name) {
  PGS_ASSIGN(const std::string home, branch::ResolvedHomeDirectory());
  PGS_ASSIGN(auto info, branch::DescribeBranch(home, name));
  if (info.state == "running") return info;
  return Fail(Error(ErrorCode::kUnavailable, "branch " + Quoted(name) + " is not running: it is " + info.state)
                  .WithHint("pgstrata branch start " + name));
}

// A file without a name, which psql and those that it starts can read.
Result<io::UniqueFd> MemoryFile(const std::string& text) {
  io::UniqueFd file(::memfd_create("psqlrc", 0));
  if (!file.valid()) return FailErrno("could not make a psqlrc");
  if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return FailErrno("could not write a psqlrc");
  }
  return file;
}

Result<int> RunPsql(const std::string& name, const std::vector<std::string>& trailing, Output&) {
  PGS_ASSIGN(const auto info, RunningBranch(name));
  PGS_ASSIGN(SignalQueue signals, SignalQueue::Create());
  PGS_ASSIGN(const auto installation, branch::FindServerPrograms(info.record.major_version, info.record.pg_bin));
  PGS_ASSIGN(auto argv, branch::PsqlCommand(installation));
  argv.insert(argv.end(), trailing.begin(), trailing.end());
  PGS_ASSIGN(const io::UniqueFd psqlrc, MemoryFile(branch::PsqlrcText(name)));
  io::Environment environment = branch::ClientEnvironment(info.socket_directory, branch::LoginOf(info.record));
  environment["PSQLRC"] = "/proc/self/fd/" + std::to_string(psqlrc.get());
  PGS_ASSIGN(auto client, ClientProcess::Start(argv, environment));
  PGS_ASSIGN(const auto end, client.Wait(signals, -1));
  return end.status;
}

// For sh: in single quotes, and those in it as '\''.
std::string QuoteForShell(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  return quoted + '\'';
}

Result<int> RunEnv(const std::string& name, Output& output) {
  PGS_ASSIGN(const auto info, RunningBranch(name));
  const auto connection = branch::ConnectionEnvironment(info.socket_directory, branch::LoginOf(info.record));
  std::string unset;
  for (const auto& variable : client::LibpqEnvironmentVariables()) {
    if (!connection.contains(variable)) unset += ' ' + variable;
  }
  output.out << "unset" << unset << '\n';
  for (const auto& [variable, value] : connection) {
    output.out << "export " << variable << '=' << QuoteForShell(value) << '\n';
  }
  return 0;
}

struct LogsArguments {
  std::string name;
  bool follow = false;
  bool worker = false;
};

// Prints what `file` holds from `offset` on; where it ends now.
Result<uint64_t> PrintFrom(const io::File& file, uint64_t offset, std::ostream& out) {
  std::array<char, 1 << 16> buffer{};
  while (true) {
    PGS_ASSIGN(const size_t count, file.ReadAt(offset, std::as_writable_bytes(std::span(buffer))));
    if (count == 0) break;
    out.write(buffer.data(), static_cast<std::streamsize>(count));
    offset += count;
  }
  out.flush();
  if (!out) return Fail(ErrorCode::kIo, "could not write to standard output");
  return offset;
}

Result<int> RunLogs(const LogsArguments& arguments, Output& output) {
  constexpr int kPauseMs = 200;
  PGS_ASSIGN(const std::string home, branch::ResolvedHomeDirectory());
  PGS_ASSIGN(const auto info, branch::DescribeBranch(home, arguments.name));
  const branch::BranchDirectory directory(home, info.record.id);
  const auto file = io::File::Open(arguments.worker ? directory.worker_log() : directory.server_log(), O_RDONLY);
  if (!file && file.error().code() == ErrorCode::kNotFound) {
    return Fail(ErrorCode::kNotFound, "branch " + Quoted(arguments.name) + " has logged nothing yet");
  }
  if (!file) return std::unexpected(file.error());
  PGS_ASSIGN(uint64_t offset, PrintFrom(*file, 0, output.out));
  if (!arguments.follow) return 0;
  PGS_ASSIGN(SignalQueue signals, SignalQueue::Create());
  while (true) {
    pollfd polled{signals.fd(), POLLIN, 0};
    if (::poll(&polled, 1, kPauseMs) > 0) {
      if (const auto signal = signals.Take()) return kExitSignalBase + signal->number;
    }
    PGS_ASSIGN(offset, PrintFrom(*file, offset, output.out));
  }
}

}  // namespace

void AddBranchClientCommands(CommandGroup& group, std::vector<std::string> trailing) {
  auto psql_name = std::make_shared<std::string>();
  Command psql = group.Add("psql", "Run psql on a running branch; psql's own arguments stand behind --");
  psql.Required("NAME", *psql_name, "The branch");
  psql.Examples({"pgstrata branch psql test", "pgstrata branch psql test -- -c 'select count(*) from orders'"});
  psql.Run(
      [psql_name, trailing = std::move(trailing)](Output& output) { return RunPsql(*psql_name, trailing, output); });

  auto env_name = std::make_shared<std::string>();
  Command env = group.Add("env", "Print what leads a shell's programs to a running branch");
  env.Required("NAME", *env_name, "The branch");
  env.Examples({"eval \"$(pgstrata branch env test)\""});
  env.Run([env_name](Output& output) { return RunEnv(*env_name, output); });

  auto arguments = std::make_shared<LogsArguments>();
  Command logs = group.Add("logs", "Print the log of a branch's server");
  logs.Required("NAME", arguments->name, "The branch");
  logs.Flag("-f,--follow", arguments->follow, "Go on until Ctrl-C");
  logs.Flag("--worker", arguments->worker, "The log of the process that serves its files");
  logs.Run([arguments](Output& output) { return RunLogs(*arguments, output); });
}

}  // namespace pgstrata::cli
