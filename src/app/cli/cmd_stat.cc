#include <fmt/core.h>
#include <fmt/ostream.h>

#include <memory>
#include <ostream>
#include <string>

#include "app/cli/command.h"
#include "app/cli/exit_status.h"
#include "app/cli/terminal_text.h"
#include "branch/branch/diff_directory.h"
#include "foundation/base/text.h"
#include "foundation/base/types.h"
#include "foundation/codec/json.h"
#include "foundation/io/directory.h"
#include "volume/fuse/mount.h"
#include "volume/worker/control_client.h"

namespace pgstrata::cli {
namespace {

using codec::Json;

struct StatArguments {
  std::string place;
  bool json = false;
  bool reset = false;
};

// A worker's answers are checked like any other input: the name of its socket comes from a mount.
uint64_t Number(const Json& object, const char* name) {
  const auto member = object.find(name);
  return member != object.end() && member->is_number_unsigned() ? member->get<uint64_t>() : 0;
}
double Real(const Json& object, const char* name) {
  const auto member = object.find(name);
  return member != object.end() && member->is_number() ? member->get<double>() : 0;
}
std::string Text(const Json& object, const char* name) {
  const auto member = object.find(name);
  return member != object.end() && member->is_string() ? EscapeForTerminal(member->get<std::string>()) : "";
}
const Json& Member(const Json& object, const char* name) {
  static const Json kNothing = Json::object();
  const auto member = object.find(name);
  return member != object.end() ? *member : kNothing;
}

std::string FormatTime(double microseconds) {
  if (microseconds < 1000) return fmt::format("{:.0f} us", microseconds);
  if (microseconds < 1'000'000) return fmt::format("{:.1f} ms", microseconds / 1000);
  return fmt::format("{:.1f} s", microseconds / 1'000'000);
}

void PrintLayers(const Json& stat, std::ostream& out) {
  for (const Json& layer : Member(stat, "layers")) {
    fmt::print(out, "layer     {} in {}\n", FormatBytes(Number(layer, "bytes")), Text(layer, "directory"));
  }
}

void PrintRequests(const Json& requests, std::ostream& out) {
  if (requests.empty()) return;
  fmt::print(out, "\n{:<16}{:>10}{:>12}{:>10}{:>10}{:>10}{:>10}\n", "request", "count", "bytes", "p50", "p90", "p99",
             "max");
  for (const auto& [kind, one] : requests.items()) {
    const uint64_t bytes = Number(one, "bytes");
    fmt::print(out, "{:<16}{:>10}{:>12}{:>10}{:>10}{:>10}{:>10}\n", EscapeForTerminal(kind), Number(one, "count"),
               bytes == 0 ? "" : FormatBytes(bytes), FormatTime(Real(one, "p50_us")), FormatTime(Real(one, "p90_us")),
               FormatTime(Real(one, "p99_us")), FormatTime(Real(one, "max_us")));
  }
}

void PrintServed(const Json& stat, std::ostream& out) {
  const Timestamp started{static_cast<int64_t>(Number(stat, "started")) * 1'000'000'000};
  const auto read_only = stat.find("read_only");
  fmt::print(out, "mounted   {}{}, process {}, since {}\n", Text(stat, "mountpoint"),
             read_only != stat.end() && *read_only == true ? " (read-only)" : "", Number(stat, "pid"),
             started.ToString());
  fmt::print(out, "source    {}\n", Text(stat, "source"));
  PrintLayers(stat, out);
  const uint64_t from_image = Number(stat, "image_bytes_read");
  const uint64_t from_layers = Number(stat, "layer_bytes_read");
  fmt::print(out, "read      {} of the source, {} of layers; {} of that came from storage\n", FormatBytes(from_image),
             FormatBytes(from_layers),
             FormatBytes(std::min(Number(stat, "storage_bytes_read"), from_image + from_layers)));
  fmt::print(out, "process   {} of memory, {} files open\n", FormatBytes(Number(stat, "memory_bytes")),
             Number(stat, "files_open"));
  PrintRequests(Member(stat, "requests"), out);
}

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

Result<int> RunStat(const StatArguments& arguments, Output& output) {
  PGS_ASSIGN(const Served served, FindServed(arguments.place));
  PGS_ASSIGN(auto client, worker::ControlClient::ConnectIfAlive(served.socket));
  const bool gone = !client;
  if (gone && !served.mountpoint.empty()) {
    return Fail(Error(ErrorCode::kIo, "the process that served " + Quoted(served.mountpoint) + " has died")
                    .WithHint("pgstrata unmount --force " + served.mountpoint));
  }
  PGS_ASSIGN(const Json stat, gone ? StatOfUnmounted(served.directory) : client->Stat(arguments.reset));
  if (arguments.json) {
    output.out << codec::FormatJson(stat, 2) << '\n';
  } else if (gone) {
    const std::string dead = Text(stat, "mountpoint");
    fmt::print(output.out, "mounted   {}\nsource    {}\n",
               dead.empty() ? "nowhere" : dead + ", but its process has died: pgstrata unmount --force " + dead,
               Text(stat, "source"));
    PrintLayers(stat, output.out);
  } else {
    PrintServed(stat, output.out);
  }
  return kExitOk;
}

}  // namespace

void AddStatCommand(CommandLine& line) {
  auto arguments = std::make_shared<StatArguments>();
  Command command =
      line.Add("stat", "Say what a mount was asked for, how long the answers took, and what its changes take");
  command.Required("PLACE", arguments->place, "Where it is mounted, or its diff directory");
  command.Flag("--json", arguments->json, "Print JSON");
  command.Flag("--reset", arguments->reset, "Count requests from zero afterwards");
  command.Examples({"pgstrata stat /srv/monday", "pgstrata stat --json /var/lib/monday.diff"});
  command.Run([arguments](Output& output) { return RunStat(*arguments, output); });
}

}  // namespace pgstrata::cli
