#include <fmt/core.h>
#include <fmt/ostream.h>

#include <algorithm>
#include <array>
#include <memory>
#include <ostream>

#include "app/cli/branch_command.h"
#include "app/cli/terminal_text.h"
#include "branch/branch/branch_edit.h"
#include "branch/branch/home.h"
#include "foundation/base/text.h"
#include "foundation/base/types.h"
#include "foundation/codec/json.h"

namespace pgstrata::cli {
namespace {

using branch::BranchInfo;

struct ListArguments {
  std::string name;
  bool json = false;
};

std::string When(int64_t seconds) { return Timestamp{seconds * 1'000'000'000}.ToString(); }

std::string OriginOf(const BranchInfo& info) {
  if (!info.parent.empty()) return info.parent;
  if (!info.record.parent.empty()) return info.record.kind;
  return info.record.source_typed;
}

// Where the source is found again, where that is not what was typed.
std::string PlaceOf(const branch::SourceReference& source) {
  return source.kind == branch::kDirectorySource ? source.path : source.kind + ':' + source.path;
}

codec::Json ToJson(const BranchInfo& info) {
  const auto& record = info.record;
  codec::Json json;
  json["name"] = record.name;
  json["id"] = record.id;
  json["state"] = info.state;
  json["created"] = When(record.created);
  json["source"] = record.source.path;
  json["source_kind"] = record.source.kind;
  json["source_typed"] = record.source_typed;
  json["source_chain"] = record.source.chain;
  json["source_wal"] = record.source.wal_directories;
  json["parent"] = info.parent.empty() ? codec::Json(nullptr) : codec::Json(info.parent);
  json["kind"] = record.kind;
  json["postgresql"] = record.major_version;
  json["system_identifier"] = std::to_string(record.system_identifier);
  json["user"] = record.server_user;
  json["ephemeral"] = record.ephemeral;
  json["max_size"] = record.max_size == 0 ? codec::Json(nullptr) : codec::Json(record.max_size);
  json["limited_bytes"] = info.limited_bytes;
  json["layers"] = record.layers.size();
  json["logical_bytes"] = record.logical_bytes;
  json["own_bytes"] = info.own_bytes;
  json["shared_bytes"] = info.shared_bytes;
  json["settings"] = codec::Json::object();
  for (const auto& [name, value] : record.parameters) json["settings"][name] = value;
  json["server_pid"] = info.alive.server ? codec::Json(*info.alive.server) : codec::Json(nullptr);
  json["worker_pid"] = info.alive.worker ? codec::Json(*info.alive.worker) : codec::Json(nullptr);
  json["socket_directory"] = info.alive.server ? codec::Json(info.socket_directory) : codec::Json(nullptr);
  return json;
}

// How much of what it may take a branch takes: "93% of 30 MB".
std::string UseOfLimit(const BranchInfo& info) {
  if (info.record.max_size == 0) return "none";
  const double part = static_cast<double>(info.limited_bytes) / static_cast<double>(info.record.max_size);
  return fmt::format("{:.0f}% of {}", 100 * part, FormatBytes(info.record.max_size));
}

using Row = std::array<std::string, 7>;

void PrintTable(std::ostream& out, const std::vector<BranchInfo>& infos) {
  std::vector<Row> rows = {{"NAME", "STATE", "SIZE", "OWN", "SHARED", "LIMIT", "FROM"}};
  for (const auto& info : infos) {
    rows.push_back({info.record.name, info.state, FormatBytes(info.record.logical_bytes), FormatBytes(info.own_bytes),
                    FormatBytes(info.shared_bytes), UseOfLimit(info), EscapeForTerminal(OriginOf(info))});
  }
  std::array<size_t, 7> widths{};
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const auto& row : rows) {
    for (size_t i = 0; i + 1 < row.size(); ++i) fmt::print(out, "{:<{}}  ", row[i], widths[i]);
    out << row.back() << '\n';
  }
}

Result<int> RunList(const ListArguments& arguments, Output& output) {
  PGS_ASSIGN(const std::string home, branch::ResolvedHomeDirectory());
  PGS_ASSIGN(const auto infos, branch::ListBranches(home));
  if (!arguments.json) {
    if (!infos.empty()) PrintTable(output.out, infos);
    return 0;
  }
  codec::Json json = codec::Json::array();
  for (const auto& info : infos) json.push_back(ToJson(info));
  output.out << codec::FormatJson(json, 2) << '\n';
  return 0;
}

void PrintInfo(std::ostream& out, const BranchInfo& info) {
  const auto& record = info.record;
  const auto line = [&](std::string_view what, const std::string& text) {
    fmt::print(out, "{:<12}{}\n", what, EscapeForTerminal(text));
  };
  line("name", record.name);
  line("state", info.state + (record.ephemeral ? ", ephemeral" : ""));
  line("from", OriginOf(info));
  if (record.parent.empty()) line("", record.kind);
  if (const auto place = PlaceOf(record.source); place != OriginOf(info)) line("source", place);
  for (const auto& older : record.source.chain) line("stands on", older);
  for (const auto& directory : record.source.wal_directories) line("wal", directory);
  line("created", When(record.created));
  line("postgresql", std::to_string(record.major_version) + ", run by " + record.server_user);
  line("size", FormatBytes(record.logical_bytes));
  line("own", FormatBytes(info.own_bytes));
  line("limit", record.max_size == 0
                    ? "none"
                    : fmt::format("{} of {}", FormatBytes(info.limited_bytes), FormatBytes(record.max_size)));
  line("shared", fmt::format("{} in {} layers", FormatBytes(info.shared_bytes), record.layers.size()));
  for (const auto& [name, value] : record.parameters) line("setting", name + '=' + value);
  if (info.alive.server) line("socket", info.socket_directory);
}

Result<int> RunShow(const ListArguments& arguments, Output& output) {
  PGS_ASSIGN(const std::string home, branch::ResolvedHomeDirectory());
  PGS_ASSIGN(const auto info, branch::DescribeBranch(home, arguments.name));
  if (arguments.json) {
    output.out << codec::FormatJson(ToJson(info), 2) << '\n';
  } else {
    PrintInfo(output.out, info);
  }
  return 0;
}

}  // namespace

void AddBranchListCommands(CommandGroup& group) {
  auto arguments = std::make_shared<ListArguments>();
  Command list = group.Add("list", "List the branches");
  list.Flag("--json", arguments->json, "Print JSON");
  list.Run([arguments](Output& output) { return RunList(*arguments, output); });
  auto shown = std::make_shared<ListArguments>();
  Command show = group.Add("show", "Say all about a branch");
  show.Required("NAME", shown->name, "The branch");
  show.Flag("--json", shown->json, "Print JSON");
  show.Run([shown](Output& output) { return RunShow(*shown, output); });
}

}  // namespace pgstrata::cli
