#include "branch/branch/catalogue.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "foundation/base/text.h"
#include "foundation/io/directory.h"

namespace pgstrata::branch {
namespace {

using io::IntegerOf;
using io::SqlRow;
using io::SqlValue;
using io::TextOf;

constexpr int64_t kFormat = 2;
constexpr mode_t kHomeMode = 0711;  // the server's user has to pass through
constexpr size_t kLongestName = 63;

constexpr const char* kFirstSchema = R"sql(
  CREATE TABLE branches (
    id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, state TEXT NOT NULL, created INTEGER NOT NULL, source TEXT NOT NULL,
    source_typed TEXT NOT NULL, parent TEXT, kind TEXT NOT NULL, major_version INTEGER NOT NULL,
    system_identifier TEXT NOT NULL, server_user TEXT NOT NULL, pg_bin TEXT NOT NULL, database TEXT NOT NULL,
    role TEXT NOT NULL, login_database TEXT NOT NULL, login_role TEXT NOT NULL, login_superuser INTEGER NOT NULL,
    max_size INTEGER NOT NULL, ephemeral INTEGER NOT NULL, allow_network INTEGER NOT NULL, wal INTEGER NOT NULL,
    layers_at_creation INTEGER NOT NULL, logical_bytes INTEGER NOT NULL);
  CREATE TABLE layers (id TEXT PRIMARY KEY, frozen INTEGER NOT NULL, written INTEGER NOT NULL);
  CREATE TABLE stacks (
    branch TEXT NOT NULL REFERENCES branches ON DELETE CASCADE, position INTEGER NOT NULL,
    layer TEXT NOT NULL REFERENCES layers, PRIMARY KEY (branch, position));
  CREATE TABLE parameters (
    branch TEXT NOT NULL REFERENCES branches ON DELETE CASCADE, name TEXT NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (branch, name));
  PRAGMA user_version = 1)sql";

// What leads from each version to the next. A new catalogue takes all of these steps.
constexpr std::array<const char*, kFormat> kSteps = {kFirstSchema, R"sql(
  ALTER TABLE branches ADD COLUMN source_kind TEXT NOT NULL DEFAULT 'dir';
  ALTER TABLE branches ADD COLUMN source_force INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE branches ADD COLUMN passphrase_file TEXT NOT NULL DEFAULT '';
  CREATE TABLE source_paths (
    branch TEXT NOT NULL REFERENCES branches ON DELETE CASCADE, role TEXT NOT NULL, position INTEGER NOT NULL,
    path TEXT NOT NULL, PRIMARY KEY (branch, role, position));
  PRAGMA user_version = 2)sql"};

constexpr const char* kChainRole = "chain";
constexpr const char* kWalRole = "wal";

constexpr const char* kColumns =
    "id, name, state, created, source, source_typed, parent, kind, major_version, system_identifier, server_user, "
    "pg_bin, "
    "database, role, login_database, login_role, login_superuser, max_size, ephemeral, allow_network, wal, "
    "layers_at_creation, logical_bytes, source_kind, source_force, passphrase_file";

SqlValue Number(auto value) { return static_cast<int64_t>(value); }

BranchState StateNamed(std::string_view name) {
  for (const auto state : {BranchState::kStopped, BranchState::kStarting}) {
    if (name == BranchStateName(state)) return state;
  }
  return BranchState::kRunning;
}

// In the order of kColumns.
std::vector<SqlValue> ToRow(const BranchRecord& record) {
  return {record.id,
          record.name,
          std::string(BranchStateName(record.state)),
          record.created,
          record.source.path,
          record.source_typed,
          record.parent.empty() ? SqlValue(nullptr) : SqlValue(record.parent),
          record.kind,
          Number(record.major_version),
          std::to_string(record.system_identifier),
          record.server_user,
          record.pg_bin,
          record.database,
          record.role,
          record.login_database,
          record.login_role,
          Number(record.login_superuser),
          Number(record.max_size),
          Number(record.ephemeral),
          Number(record.allow_network),
          record.wal,
          Number(record.layers_at_creation),
          Number(record.logical_bytes),
          record.source.kind,
          Number(record.source.force),
          record.source.passphrase_file};
}

BranchRecord FromRow(const SqlRow& row) {
  size_t column = 0;
  const auto text = [&] { return TextOf(row[column++]); };
  const auto number = [&] { return IntegerOf(row[column++]); };
  BranchRecord record;
  record.id = text();
  record.name = text();
  record.state = StateNamed(text());
  record.created = number();
  record.source.path = text();
  record.source_typed = text();
  if (const auto* parent = std::get_if<std::string>(&row[column++])) record.parent = *parent;
  record.kind = text();
  record.major_version = static_cast<int>(number());
  record.system_identifier = ParseDecimal(text()).value_or(0);
  record.server_user = text();
  record.pg_bin = text();
  record.database = text();
  record.role = text();
  record.login_database = text();
  record.login_role = text();
  record.login_superuser = number() != 0;
  record.max_size = static_cast<uint64_t>(number());
  record.ephemeral = number() != 0;
  record.allow_network = number() != 0;
  record.wal = number();
  record.layers_at_creation = static_cast<size_t>(number());
  record.logical_bytes = static_cast<uint64_t>(number());
  record.source.kind = text();
  record.source.force = number() != 0;
  record.source.passphrase_file = text();
  return record;
}

Result<int64_t> VersionOf(io::Database& database) {
  PGS_ASSIGN(const auto rows, database.Query("PRAGMA user_version"));
  return IntegerOf(rows[0][0]);
}

std::string CataloguePath(const std::string& home) { return JoinPath(home, "catalogue.sqlite"); }

}  // namespace

std::string_view BranchStateName(BranchState state) {
  switch (state) {
    case BranchState::kStopped:
      return "stopped";
    case BranchState::kStarting:
      return "starting";
    case BranchState::kRunning:
      return "running";
  }
  return "running";
}

Status CheckBranchName(std::string_view name) {
  const auto letter_or_digit = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; };
  const bool proper =
      !name.empty() && name.size() <= kLongestName && letter_or_digit(name.front()) &&
      std::ranges::all_of(name, [&](char c) { return letter_or_digit(c) || c == '.' || c == '_' || c == '-'; });
  if (proper && name != "latest") return {};
  return Fail(Error(ErrorCode::kUsage, Quoted(name) + " is no name for a branch")
                  .WithHint("letters, digits, \".\", \"_\" and \"-\", beginning with a letter or digit, 63 at most; "
                            "\"latest\" means something else"));
}

Status Catalogue::BringUpToDate() {
  PGS_ASSIGN(auto transaction, io::SqlTransaction::Begin(database_));
  PGS_ASSIGN(const int64_t found, VersionOf(database_));  // somebody else may have been first
  for (int64_t version = std::max<int64_t>(found, 0); version < kFormat; ++version) {
    PGS_TRY(database_.Execute(kSteps[static_cast<size_t>(version)]));
  }
  return transaction.Commit();
}

Result<Catalogue> Catalogue::OpenFile(const std::string& path) {
  PGS_ASSIGN(auto database, io::Database::Open(path));
  Catalogue catalogue(std::move(database));
  PGS_ASSIGN(int64_t found, VersionOf(catalogue.database_));
  if (found >= 0 && found < kFormat) {
    PGS_TRY(catalogue.BringUpToDate());
    PGS_ASSIGN(found, VersionOf(catalogue.database_));
  }
  if (found == kFormat) return catalogue;
  return Fail(
      Error(ErrorCode::kUnsupported, fmt::format("{} has version {} of the catalogue's format; this pgstrata knows {}",
                                                 Quoted(path), found, kFormat))
          .WithHint("use the pgstrata that wrote it, or a newer one"));
}

Result<Catalogue> Catalogue::Open(const std::string& home) {
  PGS_TRY(io::MakeDirectories(home, kHomeMode));
  return OpenFile(CataloguePath(home));
}

Result<std::optional<Catalogue>> Catalogue::OpenIfThere(const std::string& home) {
  if (!io::Exists(CataloguePath(home))) return std::nullopt;
  PGS_ASSIGN(auto catalogue, OpenFile(CataloguePath(home)));
  return catalogue;
}

Result<std::vector<BranchRecord>> Catalogue::Select(const std::string& condition, const std::vector<SqlValue>& values) {
  // One transaction: a branch, its layers and its parameters are of one moment.
  PGS_ASSIGN(auto transaction, io::SqlTransaction::Begin(database_));
  PGS_ASSIGN(const auto rows,
             database_.Query(fmt::format("SELECT {} FROM branches {} ORDER BY name", kColumns, condition), values));
  std::vector<BranchRecord> records;
  for (const auto& row : rows) {
    BranchRecord record = FromRow(row);
    PGS_ASSIGN(const auto layers, database_.Query("SELECT id, frozen, written FROM stacks JOIN layers ON layer = id "
                                                  "WHERE branch = ? ORDER BY position",
                                                  {record.id}));
    for (const auto& layer : layers) {
      record.layers.push_back({TextOf(layer[0]), IntegerOf(layer[1]) != 0, IntegerOf(layer[2]) != 0});
    }
    PGS_ASSIGN(const auto parameters,
               database_.Query("SELECT name, value FROM parameters WHERE branch = ?", {record.id}));
    for (const auto& parameter : parameters) record.parameters[TextOf(parameter[0])] = TextOf(parameter[1]);
    PGS_ASSIGN(const auto paths,
               database_.Query("SELECT role, path FROM source_paths WHERE branch = ? ORDER BY position", {record.id}));
    for (const auto& path : paths) {
      auto& list = TextOf(path[0]) == kChainRole ? record.source.chain : record.source.wal_directories;
      list.push_back(TextOf(path[1]));
    }
    records.push_back(std::move(record));
  }
  return records;
}

Result<std::vector<BranchRecord>> Catalogue::List() { return Select("", {}); }

Result<BranchRecord> Catalogue::Find(std::string_view name) {
  PGS_ASSIGN(auto found, Select("WHERE name = ?", {std::string(name)}));
  if (!found.empty()) return std::move(found.front());
  return Fail(Error(ErrorCode::kNotFound, "there is no branch " + Quoted(name))
                  .WithHint("pgstrata branch list shows what there is"));
}

Result<std::optional<BranchRecord>> Catalogue::FindById(std::string_view id) {
  PGS_ASSIGN(auto found, Select("WHERE id = ?", {std::string(id)}));
  if (found.empty()) return std::nullopt;
  return std::move(found.front());
}

Result<std::map<std::string, int64_t>> Catalogue::LayerUses() {
  PGS_ASSIGN(const auto rows, database_.Query("SELECT layer, count(*) FROM stacks GROUP BY layer"));
  std::map<std::string, int64_t> uses;
  for (const auto& row : rows) uses[TextOf(row[0])] = IntegerOf(row[1]);
  return uses;
}

Status Catalogue::Put(const BranchRecord& record) {
  PGS_ASSIGN(const auto taken,
             database_.Query("SELECT 1 FROM branches WHERE name = ? AND id <> ?", {record.name, record.id}));
  if (!taken.empty()) {
    return Fail(Error(ErrorCode::kAlreadyExists, "there is a branch " + Quoted(record.name) + " already")
                    .WithHint("choose another name, or drop it first"));
  }
  const auto values = ToRow(record);
  std::string places = "?";
  for (size_t i = 1; i < values.size(); ++i) places += ", ?";
  PGS_TRY(database_.Query("DELETE FROM branches WHERE id = ?", {record.id}));
  PGS_TRY(database_.Query(fmt::format("INSERT INTO branches ({}) VALUES ({})", kColumns, places), values));
  for (size_t position = 0; position < record.layers.size(); ++position) {
    const auto& layer = record.layers[position];
    // What one branch knows to be frozen or written is so for all that stand on it.
    PGS_TRY(
        database_.Query("INSERT INTO layers VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
                        "frozen = max(frozen, excluded.frozen), written = max(written, excluded.written)",
                        {layer.id, Number(layer.frozen), Number(layer.written)}));
    PGS_TRY(database_.Query("INSERT INTO stacks VALUES (?, ?, ?)", {record.id, Number(position), layer.id}));
  }
  PGS_TRY(PutPaths(record.id, kChainRole, record.source.chain));
  PGS_TRY(PutPaths(record.id, kWalRole, record.source.wal_directories));
  for (const auto& [name, value] : record.parameters) {
    PGS_TRY(database_.Query("INSERT INTO parameters VALUES (?, ?, ?)", {record.id, name, value}));
  }
  return {};
}

Status Catalogue::PutPaths(const std::string& id, const char* role, const std::vector<std::string>& paths) {
  for (size_t position = 0; position < paths.size(); ++position) {
    PGS_TRY(database_.Query("INSERT INTO source_paths VALUES (?, ?, ?, ?)",
                            {id, std::string(role), Number(position), paths[position]}));
  }
  return {};
}

Result<std::vector<std::string>> Catalogue::TakeOrphans() {
  PGS_ASSIGN(const auto rows,
             database_.Query("DELETE FROM layers WHERE id NOT IN (SELECT layer FROM stacks) RETURNING id"));
  std::vector<std::string> orphans;
  orphans.reserve(rows.size());
  for (const auto& row : rows) orphans.push_back(TextOf(row[0]));
  return orphans;
}

Result<std::vector<std::string>> Catalogue::Change(const std::vector<BranchRecord>& put,
                                                   const std::vector<std::string>& remove) {
  PGS_ASSIGN(auto transaction, io::SqlTransaction::Begin(database_));
  for (const auto& id : remove) PGS_TRY(database_.Query("DELETE FROM branches WHERE id = ?", {id}));
  for (const auto& record : put) PGS_TRY(Put(record));
  PGS_ASSIGN(auto orphans, TakeOrphans());
  PGS_TRY(transaction.Commit());
  return orphans;
}

}  // namespace pgstrata::branch
