#include <memory>
#include <ostream>
#include <string>

#include "app/cli/command.h"
#include "app/cli/exit_status.h"
#include "app/cli/mount_places.h"
#include "app/cli/terminal_text.h"
#include "branch/branch/diff_directory.h"
#include "foundation/base/text.h"
#include "foundation/codec/json.h"
#include "foundation/io/directory.h"
#include "volume/fuse/mount.h"
#include "volume/worker/control_client.h"
#include "volume/worker/stat_text.h"

namespace pgstrata::cli {
namespace {

using codec::Json;

struct StatArguments {
  std::string place;
  std::string mnt_path;
  std::string format;
  bool json = false;
  bool reset = false;
};

// Of a diff directory that nobody serves.
Result<Json> StatOfUnmounted(const std::string& directory) {
  PGS_ASSIGN(const auto record, branch::ReadDiffRecord(directory));
  Json stat;
  stat["mountpoint"] = nullptr;
  PGS_ASSIGN(const auto mounts, fuse::ListMounts());
  for (const auto& mount : mounts) {
    if (mount.source == directory) stat["mountpoint"] = mount.mountpoint;  // its process has died
  }
  stat["source"] = record.origin.path;
  stat["layers"] = Json::array();
  for (const auto& layer : record.layers) {
    const std::string path = JoinPath(directory, layer);
    PGS_ASSIGN(const uint64_t bytes, io::AllocatedBytes(path));
    stat["layers"].push_back({{"directory", path}, {"bytes", bytes}});
  }
  return stat;
}

struct Served {
  std::string socket;
  std::string mountpoint;  // where it was found by its mountpoint
  std::string directory;   // where it was found by its diff directory
};

Result<Served> FindServed(const std::string& place) {
  PGS_ASSIGN(const std::string path, fuse::ResolveMountpoint(place));
  PGS_ASSIGN(const auto socket, worker::ControlSocketOf(path));
  if (socket) return Served{.socket = *socket, .mountpoint = path};
  const auto record = branch::ReadDiffRecord(path);
  if (record) return Served{.socket = JoinPath(path, "control"), .directory = path};
  if (record.error().code() != ErrorCode::kNotFound) return Fail(record.error());
  return Fail(ErrorCode::kNotFound, Quoted(place) + " is neither a mount of pgstrata nor a diff directory");
}

Result<bool> WantsJson(const StatArguments& arguments) {
  if (arguments.format.empty()) return arguments.json;
  PGS_ASSIGN(const bool json, IsSecond("--format", arguments.format, "text", "json"));
  if (!arguments.json || json) return json;
  return Fail(ErrorCode::kUsage, "--json, or --format text: not both");
}

Result<int> RunStat(const StatArguments& arguments, Output& output) {
  PGS_ASSIGN(const bool json, WantsJson(arguments));
  PGS_ASSIGN(const std::string place, OneOf(arguments.place, "PLACE", arguments.mnt_path, "-D/--mnt-path MNT"));
  PGS_ASSIGN(const Served served, FindServed(place));
  PGS_ASSIGN(auto client, worker::ControlClient::ConnectIfAlive(served.socket));
  const bool gone = !client;
  if (gone && !served.mountpoint.empty()) {
    return Fail(Error(ErrorCode::kIo, "the process that served " + Quoted(served.mountpoint) + " has died")
                    .WithHint("pgstrata unmount --force " + served.mountpoint));
  }
  PGS_ASSIGN(const Json stat, gone ? StatOfUnmounted(served.directory) : client->Stat(arguments.reset));
  if (json) {
    output.out << codec::FormatJson(stat, 2) << '\n';
  } else {
    const std::string text = gone ? worker::UnservedStatText(stat) : worker::StatText(stat);
    for (const auto line : SplitLines(text)) output.out << EscapeForTerminal(line) << '\n';
  }
  return kExitOk;
}

}  // namespace

void AddStatCommand(CommandLine& line) {
  auto arguments = std::make_shared<StatArguments>();
  Command command =
      line.Add("stat", "Say what a mount was asked for, how long the answers took, and what its changes take");
  command.Optional("PLACE", arguments->place, "Where it is mounted, or its diff directory");
  command.Option("-D,--mnt-path", "MNT", arguments->mnt_path, "In place of PLACE: where it is mounted");
  command.Flag("--json", arguments->json, "Print JSON");
  command.Option("--format", "FORMAT", arguments->format, "text (default) or json");
  command.Flag("--reset,--counters-reset", arguments->reset, "Count requests from zero afterwards");
  command.Examples({"pgstrata stat /srv/monday", "pgstrata stat --json /var/lib/monday.diff",
                    "pgstrata stat -D /srv/main --format json --counters-reset"});
  command.Run([arguments](Output& output) { return RunStat(*arguments, output); });
}

}  // namespace pgstrata::cli
