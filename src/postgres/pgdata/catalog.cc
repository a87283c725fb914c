#include "postgres/pgdata/catalog.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <span>

#include "postgres/pgdata/heap.h"
#include "postgres/pgdata/page.h"
#include "postgres/pgdata/pg_version.h"

namespace pgstrata::pgdata {
namespace {

constexpr ColumnType kOidColumn{4, 4};
constexpr ColumnType kIntegerColumn{4, 4};
constexpr ColumnType kNameColumn{64, 1};
constexpr ColumnType kBoolColumn{1, 1};
constexpr ColumnType kCharColumn{1, 1};

// The columns that are read, and those before them.
constexpr std::array kAuthidColumns = {kOidColumn,  kNameColumn, kBoolColumn,  // oid, rolname, rolsuper
                                       kBoolColumn, kBoolColumn, kBoolColumn, kBoolColumn};
constexpr size_t kRoleCanLogin = 6;
// oid, datname, datdba, encoding, datcollate, datctype, datistemplate, datallowconn
constexpr std::array kDatabaseColumns14 = {kOidColumn,  kNameColumn, kOidColumn,  kIntegerColumn,
                                           kNameColumn, kNameColumn, kBoolColumn, kBoolColumn};
// oid, datname, datdba, encoding, datlocprovider, datistemplate, datallowconn
constexpr std::array kDatabaseColumns15 = {kOidColumn,  kNameColumn, kOidColumn, kIntegerColumn,
                                           kCharColumn, kBoolColumn, kBoolColumn};
constexpr std::array kSubscriptionColumns = {kOidColumn};

using Columns = std::vector<std::optional<ByteView>>;

Status CheckVersion(int major_version) {
  if (major_version >= kOldestMajorVersion && major_version <= kNewestMajorVersion) return {};
  return Fail(ErrorCode::kUnsupported, fmt::format("the catalogs of PostgreSQL {} are not known", major_version));
}

uint32_t OidIn(const Columns& columns, size_t index) {
  return columns[index] ? LoadLe<uint32_t>(*columns[index], 0) : 0;
}

bool BoolIn(const Columns& columns, size_t index) { return columns[index] && columns[index]->front() != std::byte{0}; }

std::string NameIn(const Columns& columns, size_t index) {
  if (!columns[index]) return {};
  const std::string_view padded = AsText(*columns[index]);
  return std::string(padded.substr(0, padded.find('\0')));
}

// Which of two versions of a row is newer. Frozen ones come first: their xmin means nothing any more.
struct RowAge {
  bool frozen = false;
  uint32_t xmin = 0;

  [[nodiscard]] bool OlderThan(const RowAge& other) const {
    if (frozen != other.frozen) return frozen;
    return !frozen && static_cast<int32_t>(xmin - other.xmin) < 0;
  }
};

RowAge AgeOf(const HeapTuple& tuple) {
  constexpr uint16_t kFrozen = 0x0300;
  return {(tuple.infomask & kFrozen) == kFrozen, tuple.xmin};
}

template <typename Row>
struct Version {
  RowAge age;
  Row row;
};

// Reads every tuple that is not dead through `parse(columns)`, keeps the newest version for each OID (of equally old
// ones that which is met last), and returns the rows by OID.
template <typename Row, typename Parse>
Result<std::vector<Row>> ReadRows(const RelationPages& pages, const TransactionStatusLookup& status,
                                  std::span<const ColumnType> types, Parse&& parse) {
  std::map<Oid, Version<Row>> newest;
  std::vector<std::byte> page(kPageSize);
  for (uint32_t block = 0; block < pages.count; ++block) {
    PGS_TRY(pages.read({block}, page));
    PGS_ASSIGN(const auto tuples, HeapTuples(page));
    for (const HeapTuple& tuple : tuples) {
      PGS_ASSIGN(const Visibility visibility, TupleVisibility(tuple, status));
      if (visibility == Visibility::kDead) continue;
      PGS_ASSIGN(const Columns columns, TupleColumns(tuple, types));
      Version<Row> version{AgeOf(tuple), parse(columns)};
      const auto [known, inserted] = newest.try_emplace({OidIn(columns, 0)}, version);
      if (!inserted && !version.age.OlderThan(known->second.age)) known->second = std::move(version);
    }
  }
  std::vector<Row> rows;
  rows.reserve(newest.size());
  for (auto& [oid, version] : newest) rows.push_back(std::move(version.row));
  return rows;
}

}  // namespace

RelationPages PagesOf(ByteView relation) {
  return {static_cast<uint32_t>(relation.size() / kPageSize), [relation](BlockNumber block, MutableBytes page) {
            std::ranges::copy(relation.subspan(block.value * kPageSize, kPageSize), page.begin());
            return Status{};
          }};
}

Result<std::vector<Role>> ReadRoles(int major_version, const RelationPages& pages,
                                    const TransactionStatusLookup& status) {
  PGS_TRY(CheckVersion(major_version));
  return ReadRows<Role>(pages, status, kAuthidColumns, [](const Columns& columns) {
    return Role{{OidIn(columns, 0)}, NameIn(columns, 1), BoolIn(columns, 2), BoolIn(columns, kRoleCanLogin)};
  });
}

Result<std::vector<Database>> ReadDatabases(int major_version, const RelationPages& pages,
                                            const TransactionStatusLookup& status) {
  PGS_TRY(CheckVersion(major_version));
  const std::span<const ColumnType> types =
      major_version == 14 ? std::span<const ColumnType>(kDatabaseColumns14) : kDatabaseColumns15;
  const size_t is_template = types.size() - 2;
  const size_t allows_connections = types.size() - 1;
  return ReadRows<Database>(pages, status, types, [&](const Columns& columns) {
    return Database{
        {OidIn(columns, 0)}, NameIn(columns, 1), BoolIn(columns, allows_connections), BoolIn(columns, is_template)};
  });
}

Result<uint64_t> CountSubscriptions(const RelationPages& pages, const TransactionStatusLookup& status) {
  PGS_ASSIGN(const auto rows, ReadRows<Oid>(pages, status, kSubscriptionColumns,
                                            [](const Columns& columns) { return Oid{OidIn(columns, 0)}; }));
  return rows.size();
}

}  // namespace pgstrata::pgdata
