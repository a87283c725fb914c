#include <fmt/core.h>
#include <poll.h>

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <ostream>

#include "app/cli/command.h"
#include "app/cli/exit_status.h"
#include "app/cli/mount_places.h"
#include "app/cli/seconds.h"
#include "app/cli/signals.h"
#include "app/cli/source_options.h"
#include "branch/branch/diff_directory.h"
#include "branch/branch/mounted_backup.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "volume/worker/control_client.h"

namespace pgstrata::cli {
namespace {

constexpr std::chrono::seconds kDefaultPatience{30};
constexpr std::chrono::seconds kAsLongAsItTakes = std::chrono::hours(24);

struct MountArguments {
  SourceArguments source;
  MountPlaces places;
  std::string diff_directory;
  std::string user;
  std::string timeout;
  std::string log_file;
  std::string log_format = "text";
  std::string log_sink = "file";
  bool wait = false;
  bool debug = false;
  bool perf_unsafe = false;
  bool no_wal = false;
  bool read_only = false;
  bool allow_other = false;
  bool console = false;
  bool moved = false;
  bool quiet = false;
};

Status CheckArguments(const MountArguments& arguments) {
  if (arguments.log_sink == "journald" && !arguments.log_file.empty()) {
    return Fail(ErrorCode::kUsage, "--log-file FILE, or --log-sink journald: not both");
  }
  if (arguments.read_only && arguments.source.at) {
    return Fail(Error(ErrorCode::kUsage, "--read-only shows the backup as it is: it excludes --at")
                    .WithHint("see pgstrata mount --help"));
  }
  if (arguments.read_only || !arguments.diff_directory.empty()) return {};
  return Fail(Error(ErrorCode::kUsage, "mount wants --diff-dir DIR, where the changes go, or --read-only")
                  .WithHint("see pgstrata mount --help"));
}

Result<worker::LogStyle> StyleOfLog(const MountArguments& arguments) {
  PGS_ASSIGN(const bool json, IsSecond("--log-format", arguments.log_format, "text", "json"));
  PGS_ASSIGN(const bool journal, IsSecond("--log-sink", arguments.log_sink, "file", "journald"));
  return worker::LogStyle{.sink = journal ? worker::LogStyle::Sink::kJournal : worker::LogStyle::Sink::kFile,
                          .format = json ? worker::LogStyle::Format::kJson : worker::LogStyle::Format::kText,
                          .debug = arguments.debug};
}

Result<std::chrono::seconds> Patience(const MountArguments& arguments) {
  if (!arguments.timeout.empty()) return ParseSeconds("--timeout", arguments.timeout);
  return arguments.wait ? kAsLongAsItTakes : kDefaultPatience;
}

// What a diff directory that was used before says of its mount.
Result<std::optional<branch::DiffRecord>> Remembered(const std::string& diff_directory) {
  if (diff_directory.empty()) return std::nullopt;
  auto record = branch::ReadDiffRecord(diff_directory);
  if (record) return *std::move(record);
  if (record.error().code() == ErrorCode::kNotFound) return std::nullopt;
  return Fail(std::move(record).error());
}

Result<std::vector<std::string>> ResolveAll(const std::string& option, const std::vector<std::string>& paths) {
  std::vector<std::string> resolved;
  for (const auto& typed : paths) {
    auto path = io::ResolvePath(typed);
    if (!path) return Fail(std::move(path).error().Wrap(option));
    resolved.push_back(*std::move(path));
  }
  return resolved;
}

// What is left out is as it was the last time. A chain is only of the source that it was named for.
Status CompleteSource(SourceArguments& source, const SourceAndMountpoint& places,
                      const std::optional<branch::DiffRecord>& remembered) {
  source.source = places.source;
  PGS_ASSIGN(source.wal_directories, ResolveAll("--wal", source.wal_directories));
  if (!source.cipher_pass_file.empty()) {
    PGS_ASSIGN(source.cipher_pass_file, io::ResolvePath(source.cipher_pass_file));
  }
  if (!remembered) return {};
  source.all_wal = !remembered->at.empty();
  const branch::DiffOrigin& origin = remembered->origin;
  if (source.wal_directories.empty()) source.wal_directories = origin.wal;
  if (source.cipher_pass_file.empty()) source.cipher_pass_file = origin.cipher_pass_file;
  const bool same = places.remembered || io::ResolvePath(places.source).value_or("") == origin.path;
  if (source.chain.empty() && same) source.chain = origin.chain;
  return {};
}

// A path names a backup of any kind, but for a tar whose name does not say what it is.
std::string NameAgain(const source::ResolvedSource& source) {
  return (source.kind == source::SourceKind::kTar ? "tar:" : "") + source.path;
}

// The foreground of --console: the worker ends in order when a signal ends us, and we when it ends.
class Console {
 public:
  Console(branch::MountedBackup& mounted, SignalQueue& signals, std::ostream& err)
      : mounted_(mounted), signals_(signals), err_(err) {}

  Result<int> Wait() {
    for (;;) {
      std::array<pollfd, 2> polled{pollfd{mounted_.worker.process.pidfd(), POLLIN, 0},
                                   pollfd{signals_.fd(), POLLIN, 0}};
      if (::poll(polled.data(), polled.size(), -1) < 0) continue;
      if (polled[0].revents != 0) return kExitOk;
      const auto signal = signals_.Take();
      if (!signal) continue;
      const Status ended = End();
      if (ended) return kExitSignalBase + signal->number;
      // The mount stays and is served; whoever uses it can be ended, and the signal sent again.
      err_ << "pgstrata: " << ended.error().message() << std::endl;
    }
  }

 private:
  Status End() {
    PGS_ASSIGN(auto client, worker::ControlClient::ConnectIfAlive(mounted_.control_socket));
    return client ? client->Quit() : Status();
  }

  branch::MountedBackup& mounted_;
  SignalQueue& signals_;
  std::ostream& err_;
};

Result<int> RunMount(MountArguments& arguments, Output& output) {
  PGS_TRY(CheckArguments(arguments));
  PGS_ASSIGN(const auto timeout, Patience(arguments));
  PGS_ASSIGN(const auto log_style, StyleOfLog(arguments));
  PGS_ASSIGN(const auto remembered, Remembered(arguments.diff_directory));
  arguments.places.source = arguments.source.source;
  PGS_ASSIGN(const auto places, ResolvePlaces(arguments.places, remembered));
  PGS_ASSIGN(SignalQueue signals, SignalQueue::Create());
  PGS_TRY(CompleteSource(arguments.source, places, remembered));
  PGS_ASSIGN(auto at, MomentOf(arguments.source));
  PGS_ASSIGN(auto source, ResolveSource(arguments.source));
  const branch::MountRequest request{
      .image = std::move(source.image),
      .wal_archives = std::move(source.wal_archives),
      .at = std::move(at),
      .source_given = places.source,
      .source_name = NameAgain(source),
      .source_path = source.path,
      .source_older = source.older,
      .wal = arguments.source.wal_directories,
      .chain = arguments.source.chain.empty() ? std::vector<std::string>() : source.older,
      .cipher_pass_file = arguments.source.cipher_pass_file,
      .mountpoint = places.mountpoint,
      .diff_directory = arguments.diff_directory,
      .user = arguments.user,
      .allow_other = arguments.allow_other,
      .force = arguments.source.force,
      .unsafe_syncs = arguments.perf_unsafe,
      .no_wal = arguments.no_wal,
      .log_file = arguments.log_file,
      .log_style = log_style,
      .moved = arguments.moved,
      .end_with_caller = arguments.console,
      .timeout = timeout};
  PGS_ASSIGN(auto mounted, branch::MountBackup(request));
  for (const auto& warning : mounted.warnings) output.err << "pgstrata: warning: " << warning << std::endl;
  if (!arguments.quiet) {
    const std::string changes =
        arguments.read_only ? "read-only"
                            : fmt::format("changes {} {}", mounted.continued ? "go on in" : "go to", mounted.directory);
    output.err << fmt::format("mounted {} ({}) at {}; {}", source.display_name, mounted.description, mounted.mountpoint,
                              changes)
               << std::endl;
  }
  if (!arguments.console) return kExitOk;
  return Console(mounted, signals, output.err).Wait();
}

}  // namespace

void AddMountCommand(CommandLine& line) {
  auto arguments = std::make_shared<MountArguments>();
  Command command =
      line.Add("mount", "Show a backup as a writable data directory, for whatever starts PostgreSQL itself");
  AddMountSourceArguments(command, arguments->source);
  AddMomentOptions(command, arguments->source);
  command.Optional("MNT", arguments->places.mountpoint, "An existing directory, where the data directory is shown");
  AddPlaceFlags(command, arguments->places);
  command.Option("-d,--diff-dir", "DIR", arguments->diff_directory, "Where the changes go; made if it is missing");
  command.Flag("--read-only", arguments->read_only, "Show the backup as it is; needs no --diff-dir");
  command.Flag("--perf-unsafe", arguments->perf_unsafe, "fsync does nothing; marks the diff directory until unmount");
  command.Flag("--no-wal", arguments->no_wal, "Keep no WAL; the diff directory can never be mounted again");
  command.Exclude("--read-only", "--diff-dir");
  command.Exclude("--read-only", "--perf-unsafe");
  command.Exclude("--read-only", "--no-wal");
  command.Option("--user", "USER", arguments->user, "Who is shown as the owner (default: you; for root, postgres)");
  command.Flag("--allow-other", arguments->allow_other, "Let other users in (default for root with another owner)");
  command.Flag("--console", arguments->console, "Stay in the foreground; a signal unmounts");
  command.Option("--timeout", "SECONDS", arguments->timeout, "How long to wait until it serves (default: 30)");
  command.Flag("--wait", arguments->wait, "Wait for that as long as it takes");
  command.Flag("--moved", arguments->moved, "SOURCE is the backup of the diff directory, at another place");
  command.Option("--log-file", "FILE", arguments->log_file, "Its log (default: worker.log in the diff directory)");
  command.Option("--log-format", "FORMAT", arguments->log_format, "text (default) or json, one object a line");
  command.Option("--log-sink", "SINK", arguments->log_sink, "file (default) or journald");
  command.Flag("--debug", arguments->debug, "Log also what helps only to look for a mistake");
  command.Flag("-q,--quiet", arguments->quiet, "Say nothing on stderr when all is well");
  command.Examples(
      {"pgstrata mount /backups/monday /srv/monday --diff-dir /var/lib/monday.diff",
       "pgstrata mount /backups/monday /srv/monday --diff-dir /var/lib/monday.diff --wal /archive",
       "pgstrata mount /backups/monday /srv/monday --diff-dir /var/lib/monday.diff --wal /archive --at latest",
       "pgstrata mount /backups/monday /mnt --read-only",
       "pgstrata mount -B /pgbackups -I main -i SBOL94 -D /srv/main -d /var/lib/main.diff"});
  command.Run([arguments](Output& output) { return RunMount(*arguments, output); });
}

}  // namespace pgstrata::cli
