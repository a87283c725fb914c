#include <fmt/core.h>
#include <poll.h>

#include <array>
#include <chrono>
#include <memory>
#include <ostream>

#include "app/cli/command.h"
#include "app/cli/exit_status.h"
#include "app/cli/seconds.h"
#include "app/cli/signals.h"
#include "app/cli/source_options.h"
#include "branch/branch/mounted_backup.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "volume/worker/control_client.h"

namespace pgstrata::cli {
namespace {

using namespace std::chrono_literals;

struct MountArguments {
  SourceArguments source;
  std::string mountpoint;
  std::string diff_directory;
  std::string user;
  std::string timeout = "30";
  bool read_only = false;
  bool allow_other = false;
  bool console = false;
  bool moved = false;
  bool quiet = false;
};

Status CheckArguments(const MountArguments& arguments) {
  if (arguments.read_only || !arguments.diff_directory.empty()) return {};
  return Fail(Error(ErrorCode::kUsage, "mount wants --diff-dir DIR, where the changes go, or --read-only")
                  .WithHint("see pgstrata mount --help"));
}

// Those of the command line, else what the diff directory was made with.
Result<std::vector<std::string>> WalDirectories(const MountArguments& arguments) {
  if (arguments.source.wal_directories.empty() && !arguments.diff_directory.empty()) {
    return branch::RememberedWal(arguments.diff_directory);
  }
  std::vector<std::string> resolved;
  for (const auto& directory : arguments.source.wal_directories) {
    auto path = io::ResolvePath(directory);
    if (!path) return Fail(std::move(path).error().Wrap("--wal"));
    resolved.push_back(*std::move(path));
  }
  return resolved;
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
  PGS_ASSIGN(const auto timeout, ParseSeconds("--timeout", arguments.timeout));
  PGS_ASSIGN(SignalQueue signals, SignalQueue::Create());
  PGS_ASSIGN(arguments.source.wal_directories, WalDirectories(arguments));
  PGS_ASSIGN(auto source, ResolveSource(arguments.source));
  const branch::MountRequest request{.image = std::move(source.image),
                                     .wal_archives = std::move(source.wal_archives),
                                     .source_given = arguments.source.source,
                                     .source_path = source.path,
                                     .source_older = source.older,
                                     .wal = arguments.source.wal_directories,
                                     .mountpoint = arguments.mountpoint,
                                     .diff_directory = arguments.diff_directory,
                                     .user = arguments.user,
                                     .allow_other = arguments.allow_other,
                                     .moved = arguments.moved,
                                     .end_with_caller = arguments.console,
                                     .timeout = timeout};
  PGS_ASSIGN(auto mounted, branch::MountBackup(request));
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
  AddSourceArguments(command, arguments->source);
  command.Required("MNT", arguments->mountpoint, "An existing directory, where the data directory is shown");
  command.Option("--diff-dir", "DIR", arguments->diff_directory, "Where the changes go; made if it is missing");
  command.Flag("--read-only", arguments->read_only, "Show the backup as it is; needs no --diff-dir");
  command.Exclude("--read-only", "--diff-dir");
  command.Option("--user", "USER", arguments->user, "Who is shown as the owner (default: you; for root, postgres)");
  command.Flag("--allow-other", arguments->allow_other, "Let other users in (default for root with another owner)");
  command.Flag("--console", arguments->console, "Stay in the foreground; a signal unmounts");
  command.Option("--timeout,--wait", "SECONDS", arguments->timeout, "How long to wait until it serves (default: 30)");
  command.Flag("--moved", arguments->moved, "SOURCE is the backup of the diff directory, at another place");
  command.Flag("-q,--quiet", arguments->quiet, "Say nothing on stderr when all is well");
  command.Examples({"pgstrata mount /backups/monday /srv/monday --diff-dir /var/lib/monday.diff",
                    "pgstrata mount /backups/monday /srv/monday --diff-dir /var/lib/monday.diff --wal /archive",
                    "pgstrata mount /backups/monday /mnt --read-only"});
  command.Run([arguments](Output& output) { return RunMount(*arguments, output); });
}

}  // namespace pgstrata::cli
