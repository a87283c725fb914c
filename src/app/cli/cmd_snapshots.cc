#include <fmt/format.h>
#include <fmt/ostream.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <ostream>

#include "app/cli/command.h"
#include "app/cli/source_options.h"
#include "app/cli/terminal_text.h"
#include "backup/source/snapshot_list.h"
#include "foundation/base/text.h"
#include "foundation/codec/json.h"

namespace pgstrata::cli {
namespace {

using source::ListedSnapshot;
using source::SnapshotGroup;

struct SnapshotsArguments {
  SourceArguments source;
  bool json = false;
};

// As a shell takes it for one word.
std::string ShellWord(const std::string& text) {
  constexpr std::string_view kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789@%+=:,./_-";
  if (!text.empty() && text.find_first_not_of(kPlain) == std::string::npos) return text;
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? "'\\''" : std::string(1, c);
  return quoted + "'";
}

std::string CommandFor(const ListedSnapshot& snapshot) { return "pgstrata open " + ShellWord(snapshot.source); }

codec::Json OrNull(const std::string& text) {
  return text.empty() ? codec::Json(nullptr) : codec::Json(IsUtf8(text) ? text : EscapeForTerminal(text));
}

template <typename T>
codec::Json OrNull(const std::optional<T>& value) {
  return value ? codec::Json(*value) : codec::Json(nullptr);
}

codec::Json ToJson(const ListedSnapshot& snapshot) {
  codec::Json json;
  json["name"] = OrNull(snapshot.name);
  json["kind"] = OrNull(snapshot.kind);
  json["status"] = OrNull(snapshot.status);
  json["parent"] = OrNull(snapshot.parent);
  json["start_time"] = OrNull(snapshot.start_time);
  json["end_time"] = OrNull(snapshot.end_time);
  json["start_lsn"] = OrNull(snapshot.start_lsn);
  json["stop_lsn"] = OrNull(snapshot.stop_lsn);
  json["timeline"] = OrNull(snapshot.timeline);
  json["postgresql"] = OrNull(snapshot.version);
  json["bytes"] = OrNull(snapshot.bytes);
  json["stored_bytes"] = OrNull(snapshot.stored_bytes);
  json["note"] = OrNull(snapshot.note);
  json["opens"] = !snapshot.problem;
  json["problem"] = snapshot.problem ? OrNull(snapshot.problem->message()) : codec::Json(nullptr);
  json["source"] = OrNull(snapshot.source);
  return json;
}

codec::Json ToJson(const source::SnapshotList& list) {
  codec::Json json;
  json["kind"] = list.kind;
  json["location"] = OrNull(list.location);
  json["groups"] = codec::Json::array();
  for (const auto& group : list.groups) {
    codec::Json listed;
    listed["name"] = OrNull(group.name);
    listed["location"] = OrNull(group.location);
    listed["problem"] = group.problem ? OrNull(group.problem->message()) : codec::Json(nullptr);
    listed["snapshots"] = codec::Json::array();
    for (const auto& snapshot : group.snapshots) listed["snapshots"].push_back(ToJson(snapshot));
    json["groups"].push_back(std::move(listed));
  }
  return json;
}

constexpr size_t kColumns = 6;
using Row = std::array<std::string, kColumns>;

// What stands on another is below it, further to the right.
class Tree {
 public:
  // The snapshots in their order.
  std::string Indented(const ListedSnapshot& snapshot) {
    constexpr size_t kDeepest = 8;  // a chain of thirty has to fit on a screen
    const auto parent = depths_.find(snapshot.parent);
    const size_t depth = parent == depths_.end() || snapshot.parent.empty() ? 0 : parent->second + 1;
    depths_[snapshot.name] = depth;
    const std::string name = EscapeForTerminal(snapshot.name);
    return depth == 0 ? name : std::string(2 * (std::min(depth, kDeepest) - 1), ' ') + "+ " + name;
  }

 private:
  std::map<std::string, size_t> depths_;
};

std::string SizeText(const std::optional<uint64_t>& bytes) { return bytes ? FormatBytes(*bytes) : "-"; }

void PrintGroup(std::ostream& out, const SnapshotGroup& group, std::string_view word) {
  if (!group.name.empty()) fmt::print(out, "{} {}\n", word, EscapeForTerminal(group.name));
  if (group.problem) fmt::print(out, "  cannot be listed: {}\n", EscapeForTerminal(group.problem->message()));
  Tree tree;
  std::vector<Row> rows = {{"BACKUP", "KIND", "STATUS", "TIME", "SIZE", "STORED"}};
  for (const auto& snapshot : group.snapshots) {
    const auto& time = snapshot.end_time.empty() ? snapshot.start_time : snapshot.end_time;
    rows.push_back({tree.Indented(snapshot), EscapeForTerminal(snapshot.kind), EscapeForTerminal(snapshot.status),
                    EscapeForTerminal(time), SizeText(snapshot.bytes), SizeText(snapshot.stored_bytes)});
    for (auto& cell : rows.back()) cell = cell.empty() ? "-" : cell;
  }
  if (group.snapshots.empty()) return;
  std::array<size_t, kColumns> widths{};
  for (const auto& row : rows) {
    for (size_t i = 0; i < kColumns; ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (size_t line = 0; line < rows.size(); ++line) {
    out << "  ";
    for (size_t i = 0; i < kColumns; ++i) fmt::print(out, "{:<{}}  ", rows[line][i], widths[i]);
    if (line == 0) {
      out << "OPEN IT WITH\n";
      continue;
    }
    const auto& snapshot = group.snapshots[line - 1];
    out << (snapshot.problem ? "does not open: " + EscapeForTerminal(snapshot.problem->message())
                             : EscapeForTerminal(CommandFor(snapshot)))
        << '\n';
  }
}

Result<int> RunSnapshots(const SnapshotsArguments& arguments, Output& output) {
  PGS_ASSIGN(const auto list, source::ListSnapshots(RequestOf(arguments.source)));
  if (arguments.json) {
    output.out << codec::FormatJson(ToJson(list), 2) << '\n';
  } else {
    const std::string_view word = list.kind == "pgbackrest" ? "stanza" : "instance";
    fmt::print(output.out, "{} {}\n", list.kind == "dir" ? "base backups in" : list.kind,
               EscapeForTerminal(list.kind == "dir" ? list.groups.front().location : list.location));
    for (const auto& group : list.groups) PrintGroup(output.out, group, word);
  }
  output.out.flush();
  if (!output.out) return Fail(ErrorCode::kIo, "could not write to standard output");
  return 0;
}

}  // namespace

void AddSnapshotsCommand(CommandLine& line) {
  auto arguments = std::make_shared<SnapshotsArguments>();
  Command command = line.Add("snapshots", "List the backups of a catalog: which stand on which, and which open");
  command.Required("CATALOG", arguments->source.source,
                   "A pg_probackup catalog, a pgBackRest repository or stanza, or a directory of base backups");
  command.Option("--cipher-pass-file", "FILE", arguments->source.cipher_pass_file,
                 "A file with the passphrase of an encrypted catalog, or its pgbackrest.conf");
  command.Flag("--json", arguments->json, "Print JSON");
  command.Examples({"pgstrata snapshots /backups", "pgstrata snapshots pg_probackup:/backups/main",
                    "pgstrata snapshots pgbackrest:main --json"});
  command.Run([arguments](Output& output) { return RunSnapshots(*arguments, output); });
}

}  // namespace pgstrata::cli
