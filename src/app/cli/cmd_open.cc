#include <fmt/core.h>

#include <cstdlib>
#include <memory>
#include <optional>
#include <ostream>

#include "app/cli/client_process.h"
#include "app/cli/command.h"
#include "app/cli/exit_status.h"
#include "app/cli/source_options.h"
#include "branch/branch/psql.h"
#include "branch/branch/session.h"
#include "foundation/base/clock.h"
#include "foundation/base/text.h"
#include "foundation/codec/json.h"
#include "foundation/io/file.h"

namespace pgstrata::cli {
namespace {

struct OpenArguments {
  SourceArguments source;
  branch::OpenRequest request;
  std::vector<std::string> psql_script;  // -c and -f with their values, in the order of the command line
  std::vector<std::string> trailing;     // after "--"
  bool shell = false;
  bool exec = false;
  bool quiet = false;
  std::string json_file;
};

std::string ShellProgram() {
  const char* shell = std::getenv("SHELL");
  return shell != nullptr && *shell != '\0' ? shell : "/bin/sh";
}

Result<std::vector<std::string>> ClientCommand(const OpenArguments& arguments, const branch::Session& session,
                                               const std::string& source_name) {
  PGS_TRY(session.WritePsqlrc(source_name));
  if (arguments.exec) return arguments.trailing;
  if (arguments.shell) return std::vector{ShellProgram()};
  PGS_ASSIGN(auto argv, branch::PsqlCommand(session.installation()));
  argv.insert(argv.end(), arguments.psql_script.begin(), arguments.psql_script.end());
  argv.insert(argv.end(), arguments.trailing.begin(), arguments.trailing.end());
  return argv;
}

Status CheckArguments(const OpenArguments& arguments) {
  const auto usage = [](std::string message) {
    return std::unexpected(Error(ErrorCode::kUsage, std::move(message)).WithHint("see pgstrata open --help"));
  };
  if (arguments.exec && arguments.trailing.empty()) return usage("--exec wants a program after --");
  if (arguments.shell && !arguments.trailing.empty()) return usage("--shell takes no arguments after --");
  if (arguments.shell && arguments.exec) return usage("--shell and --exec exclude each other");
  if ((arguments.shell || arguments.exec) && !arguments.psql_script.empty()) {
    return usage("-c and -f are psql's: they exclude --shell and --exec");
  }
  return {};
}

Status WriteReport(const std::string& path, const branch::Session& session, const std::string& source,
                   double total_ms) {
  codec::Json report;
  report["source"] = source;
  report["server_version"] = session.installation().version.ToString();
  for (const auto& step : session.steps()) report["steps_ms"][step.name] = step.milliseconds;
  report["total_ms"] = total_ms;
  report["layer_bytes"] = session.LayerBytes();
  return io::WriteWholeFile(path, codec::FormatJson(report, 2) + '\n', 0644);
}

class OpenRun {
 public:
  OpenRun(const Stopwatch& watch, OpenArguments& arguments, Output& output, SignalQueue signals,
          source::ResolvedSource source)
      : watch_(watch),
        arguments_(arguments),
        output_(output),
        signals_(std::move(signals)),
        source_(std::move(source)) {}

  Result<int> Run() {
    arguments_.request.image = std::move(source_.image);
    arguments_.request.wal_archives = std::move(source_.wal_archives);
    auto opened = branch::Session::Open(std::move(arguments_.request), Events());
    if (!opened) {
      if (const auto signal = signals_.Take()) return kExitSignalBase + signal->number;
      return std::unexpected(std::move(opened).error());
    }
    return Work(**opened);
  }

 private:
  branch::OpenEvents Events() {
    return {.warning = [this](const std::string& text) { output_.err << "pgstrata: warning: " << text << std::endl; },
            .progress =
                [this](const std::string& text) {
                  if (!arguments_.quiet) output_.err << text << std::endl;
                },
            .cancel_fd = signals_.fd(),
            .client_may_start = [this](const branch::Session& session) { StartPsqlEarly(session); },
            .client_must_end = [this] { client_.reset(); }};
  }

  // It does nothing before it is connected; of other programs nobody knows.
  void StartPsqlEarly(const branch::Session& session) {
    if (arguments_.exec || arguments_.shell) return;
    // What goes wrong here goes wrong again, and is told, once the session is ready.
    static_cast<void>(StartClient(session));
  }

  Status StartClient(const branch::Session& session) {
    PGS_ASSIGN(const auto argv, ClientCommand(arguments_, session, source_.display_name));
    PGS_ASSIGN(auto client, ClientProcess::Start(argv, session.ClientEnvironment()));
    client_.emplace(std::move(client));
    return {};
  }

  Result<int> Work(branch::Session& session) {
    if (!arguments_.quiet) {
      output_.err << fmt::format("opened {} (PostgreSQL {}, {}) in {:.2f} s; changes are thrown away at the end",
                                 source_.display_name, session.installation().version.major, session.description(),
                                 watch_.milliseconds() / 1000)
                  << std::endl;
    }
    if (!client_) PGS_TRY(StartClient(session));
    PGS_TRY(session.Admit());
    PGS_ASSIGN(const ClientEnd end, client_->Wait(signals_, session.worker_pidfd()));
    if (!arguments_.json_file.empty()) {
      PGS_TRY(WriteReport(arguments_.json_file, session, source_.path, watch_.milliseconds()));
    }
    Error gone(ErrorCode::kIo, "the mount of \"" + source_.display_name + "\" ended while it was in use");
    if (end.worker_died) return std::unexpected(std::move(gone).WithHint(session.WorkerLogTail()));
    PGS_TRY(session.Close());
    return end.status;
  }

  const Stopwatch watch_;  // since the command began
  OpenArguments& arguments_;
  Output& output_;
  SignalQueue signals_;
  source::ResolvedSource source_;
  std::optional<ClientProcess> client_;
};

Result<int> RunOpen(OpenArguments& arguments, Output& output) {
  const Stopwatch watch;
  PGS_TRY(CheckArguments(arguments));
  PGS_ASSIGN(SignalQueue signals, SignalQueue::Create());
  PGS_ASSIGN(auto source, ResolveSource(arguments.source));
  return OpenRun(watch, arguments, output, std::move(signals), std::move(source)).Run();
}

}  // namespace

void AddOpenCommand(CommandLine& line, std::vector<std::string> trailing) {
  auto arguments = std::make_shared<OpenArguments>();
  arguments->trailing = std::move(trailing);
  auto& request = arguments->request;
  Command command = line.Add("open", "Open a backup as a writable database and run psql on it");
  AddSourceArguments(command, arguments->source);
  // psql runs them in the order in which they were given.
  command.Ordered({{"-c,--command", "-c", "SQL", "Run SQL and exit (repeatable)"},
                   {"-f,--file", "-f", "FILE", "Run the statements of FILE and exit"}},
                  arguments->psql_script);
  command.Option("-d,--dbname", "DB", request.database, "Database to connect to (default: postgres)");
  command.Option("-U,--username", "ROLE", request.role, "Role to connect as (default: the bootstrap superuser)");
  command.Flag("--shell", arguments->shell, "Run a shell instead of psql");
  command.Flag("--exec", arguments->exec, "Run the program after -- instead of psql");
  AddServerArguments(command, request.pg_bin, request.user);
  command.Repeatable("--without-preload", "LIB", request.libraries.without, "Start without this library (repeatable)");
  command.Repeatable("--with-preload", "LIB", request.libraries.with,
                     "Load a library that is not known to be quiet (repeatable)");
  command.Flag("--allow-network", request.allow_network, "Let the server and what it runs reach the network");
  command.Flag("--no-text-index", request.no_text_index, "Keep the planner off indexes whose collation changed");
  command.Option("--json", "FILE", arguments->json_file, "Write timings and sizes to FILE");
  command.Flag("-q,--quiet", arguments->quiet, "No steps and timings on stderr");
  command.Examples({"pgstrata open /backups/monday", "pgstrata open /backups/monday -c 'select count(*) from orders'",
                    "pgstrata open /backups/monday --exec -- pg_dump -t orders -f orders.sql"});
  command.Run([arguments](Output& output) { return RunOpen(*arguments, output); });
}

}  // namespace pgstrata::cli
