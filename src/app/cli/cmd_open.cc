#include <fmt/core.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <optional>
#include <ostream>

#include "app/cli/client_process.h"
#include "app/cli/command.h"
#include "app/cli/decoding_progress.h"
#include "app/cli/exit_status.h"
#include "app/cli/open_command.h"
#include "backup/image/decoded_cache.h"
#include "branch/branch/catalogue.h"
#include "branch/branch/psql.h"
#include "branch/branch/session.h"
#include "foundation/base/clock.h"
#include "foundation/base/text.h"
#include "foundation/codec/json.h"
#include "foundation/io/file.h"

namespace pgstrata::cli {
namespace {

std::string ShellProgram() {
  const char* shell = std::getenv("SHELL");
  return shell != nullptr && *shell != '\0' ? shell : "/bin/sh";
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
  if (!arguments.keep) return {};
  PGS_TRY(branch::CheckBranchName(*arguments.keep));
  const auto& libraries = arguments.request.libraries;
  if (!libraries.with.empty() || !libraries.without.empty()) {
    return Fail(Error(ErrorCode::kUsage, "--keep excludes --with-preload and --without-preload")
                    .WithHint("pgstrata branch create " + *arguments.keep +
                              " --from SOURCE, then: pgstrata branch set " + *arguments.keep +
                              " shared_preload_libraries=LIST"));
  }
  if (arguments.request.no_text_index) return usage("--no-text-index is for one session: it excludes --keep");
  return {};
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
    PGS_TRY(session.WritePsqlrc(source_.display_name));
    PGS_ASSIGN(const auto argv, ClientCommand(arguments_, session.installation()));
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
      PGS_TRY(WriteOpenReport(arguments_.json_file, {.source = source_.path,
                                                     .server_version = session.installation().version.ToString(),
                                                     .steps = session.steps(),
                                                     .total_ms = watch_.milliseconds(),
                                                     .layer_bytes = session.LayerBytes(),
                                                     .branch = {}}));
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

// Decodes what a first read would have to wait for.
Status Prefetch(const source::ResolvedSource& source, DecodingProgress& progress) {
  if (!source.first_touch) return {};
  const uint64_t bytes = source.first_touch->bytes;
  if (bytes > image::DecodedCache::kDefaultLimit) {
    return Fail(
        Error(ErrorCode::kNoSpace, fmt::format("{} would be decoded, and the cache holds {}", FormatBytes(bytes),
                                               FormatBytes(image::DecodedCache::kDefaultLimit)))
            .WithHint("without --prefetch a file is decoded when it is first read, and the least used goes for it"));
  }
  return source.image->DecodeAll([&](uint64_t done) { return progress.Add(done, bytes); });
}

// The resolved source, with what has to be decoded for it.
Result<source::ResolvedSource> ResolveAndDecode(OpenArguments& arguments, DecodingProgress& progress) {
  arguments.source.decoding = [&](const image::DecodeStep& step) { return progress.Tell(step); };
  auto source = ResolveSource(arguments.source);
  arguments.source.decoding = {};
  if (source && arguments.prefetch) PGS_TRY(Prefetch(*source, progress));
  return source;
}

Result<int> RunOpen(OpenArguments& arguments, Output& output) {
  const Stopwatch watch;
  PGS_TRY(CheckArguments(arguments));
  PGS_ASSIGN(arguments.request.at, MomentOf(arguments.source));
  PGS_ASSIGN(SignalQueue signals, SignalQueue::Create());
  std::optional<DecodingProgress> progress(std::in_place, output.err, &signals,
                                           !arguments.quiet && ::isatty(STDERR_FILENO) != 0);
  auto resolved = ResolveAndDecode(arguments, *progress);
  if (!resolved && progress->signal()) return kExitSignalBase + *progress->signal();
  progress.reset();
  PGS_ASSIGN(source::ResolvedSource source, std::move(resolved));
  if (arguments.keep) return RunOpenKept(arguments, std::move(source), std::move(signals), watch, output);
  return OpenRun(watch, arguments, output, std::move(signals), std::move(source)).Run();
}

}  // namespace

Result<std::vector<std::string>> ClientCommand(const OpenArguments& arguments,
                                               const instance::Installation& installation) {
  if (arguments.exec) return arguments.trailing;
  if (arguments.shell) return std::vector{ShellProgram()};
  PGS_ASSIGN(auto argv, branch::PsqlCommand(installation));
  argv.insert(argv.end(), arguments.psql_script.begin(), arguments.psql_script.end());
  argv.insert(argv.end(), arguments.trailing.begin(), arguments.trailing.end());
  return argv;
}

Status WriteOpenReport(const std::string& path, const OpenReport& report) {
  codec::Json json;
  json["source"] = report.source;
  json["server_version"] = report.server_version;
  for (const auto& step : report.steps) json["steps_ms"][step.name] = step.milliseconds;
  json["total_ms"] = report.total_ms;
  json["layer_bytes"] = report.layer_bytes;
  if (!report.branch.empty()) {
    json["branch"] = report.branch;
    json["go_on_with"] = "pgstrata branch start " + report.branch;
  }
  return io::WriteWholeFile(path, codec::FormatJson(json, 2) + '\n', 0644);
}

void AddOpenCommand(CommandLine& line, std::vector<std::string> trailing) {
  auto arguments = std::make_shared<OpenArguments>();
  arguments->trailing = std::move(trailing);
  auto& request = arguments->request;
  Command command = line.Add("open", "Open a backup as a writable database and run psql on it");
  AddSourceArguments(command, arguments->source);
  command.Flag("--prefetch", arguments->prefetch, "First decode everything that a read would have to wait for");
  AddMomentOptions(command, arguments->source);
  command.Option("--keep", "NAME", arguments->keep, "Keep what was opened, with its changes, as the branch NAME");
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
                    "pgstrata open /backups/monday --wal /archive --at '5min ago'",
                    "pgstrata open /backups/monday --exec -- pg_dump -t orders -f orders.sql",
                    "pgstrata open /backups/monday --keep test",
                    "pgstrata open /backups/incr2 --chain /backups/full,/backups/incr1"});
  command.Run([arguments](Output& output) { return RunOpen(*arguments, output); });
}

}  // namespace pgstrata::cli
