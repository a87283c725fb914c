#include "postgres/pgdata/relation_path.h"

#include <fmt/format.h>

#include <array>
#include <limits>
#include <vector>

#include "foundation/base/text.h"

namespace pgstrata::pgdata {
namespace {

constexpr std::array<std::string_view, 4> kForkNames = {"main", "fsm", "vm", "init"};

// As PostgreSQL writes it: from 1, without a leading zero.
std::optional<uint32_t> ParseNumber(std::string_view text) {
  const auto number = ParseDecimal(text);
  if (!number || *number == 0 || *number > std::numeric_limits<uint32_t>::max() || text[0] == '0') return std::nullopt;
  return static_cast<uint32_t>(*number);
}

// "1259", "1259_fsm.1", "t3_16384_vm".
bool ParseFileName(std::string_view name, RelationPath& path) {
  if (name.starts_with('t')) {
    const size_t underscore = name.find('_');
    if (underscore == std::string_view::npos) return false;
    // The number of a backend may be zero.
    const std::string_view backend = name.substr(1, underscore - 1);
    path.temporary_backend = backend == "0" ? std::optional<uint32_t>(0) : ParseNumber(backend);
    if (!path.temporary_backend) return false;
    name.remove_prefix(underscore + 1);
  }
  if (const size_t dot = name.find('.'); dot != std::string_view::npos) {
    const auto segment = ParseNumber(name.substr(dot + 1));
    if (!segment) return false;
    path.segment = *segment;
    name = name.substr(0, dot);
  }
  if (const size_t underscore = name.find('_'); underscore != std::string_view::npos) {
    const std::string_view fork = name.substr(underscore + 1);
    if (fork == "fsm") {
      path.fork = Fork::kFreeSpaceMap;
    } else if (fork == "vm") {
      path.fork = Fork::kVisibilityMap;
    } else if (fork == "init") {
      path.fork = Fork::kInit;
    } else {
      return false;
    }
    name = name.substr(0, underscore);
  }
  const auto filenode = ParseNumber(name);
  if (!filenode) return false;
  path.relfilenode = *filenode;
  return true;
}

bool ParseDatabase(std::string_view text, RelationPath& path) {
  const auto database = ParseNumber(text);
  if (database) path.database = {*database};
  return database.has_value();
}

bool ParseTablespace(std::string_view oid, std::string_view version_directory, RelationPath& path) {
  const auto tablespace = ParseNumber(oid);
  if (!tablespace || !version_directory.starts_with("PG_")) return false;
  path.tablespace = {*tablespace};
  path.version_directory = version_directory;
  return true;
}

}  // namespace

std::string_view ForkName(Fork fork) { return kForkNames[static_cast<size_t>(fork)]; }

std::optional<RelationPath> ParseRelationPath(std::string_view text) {
  const std::vector<std::string_view> parts = Split(text, '/');
  RelationPath path;
  bool sound = false;
  if (parts.size() == 2 && parts[0] == "global") {
    path.tablespace = kGlobalTablespace;
    sound = true;
  } else if (parts.size() == 3 && parts[0] == "base") {
    sound = ParseDatabase(parts[1], path);
  } else if (parts.size() == 5 && parts[0] == "pg_tblspc") {
    sound = ParseTablespace(parts[1], parts[2], path) && ParseDatabase(parts[3], path);
  }
  if (!sound || !ParseFileName(parts.back(), path)) return std::nullopt;
  return path;
}

std::string FormatRelationPath(const RelationPath& path) {
  std::string text;
  if (path.tablespace == kGlobalTablespace) {
    text = "global/";
  } else if (path.tablespace == kDefaultTablespace) {
    text = fmt::format("base/{}/", path.database.value);
  } else {
    text = fmt::format("pg_tblspc/{}/{}/{}/", path.tablespace.value, path.version_directory, path.database.value);
  }
  if (path.temporary_backend) text += fmt::format("t{}_", *path.temporary_backend);
  text += fmt::format("{}", path.relfilenode);
  if (path.fork != Fork::kMain) text += fmt::format("_{}", ForkName(path.fork));
  if (path.segment != 0) text += fmt::format(".{}", path.segment);
  return text;
}

}  // namespace pgstrata::pgdata
