#include "branch/branch/post_start.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "foundation/base/text.h"

namespace pgstrata::branch {
namespace {

// Indexes with a column whose collation has another version here than when it was recorded. The database's own
// collation (provider "d") carries its version in pg_database since 15.
constexpr std::string_view kChangedIndexes = R"sql(
  SELECT i.indexrelid::regclass::text, i.indexrelid::text
  FROM pg_index i
  WHERE i.indisvalid AND EXISTS (
    SELECT FROM unnest(i.indcollation::oid[]) AS used(collation_oid) JOIN pg_collation c ON c.oid = used.collation_oid
    WHERE c.collversion IS DISTINCT FROM pg_collation_actual_version(c.oid) AND c.collversion IS NOT NULL
       OR c.collprovider = 'd' AND {})
  ORDER BY 1)sql";

constexpr std::string_view kDatabaseCollationChanged =
    "(SELECT datcollversion IS NOT NULL AND datcollversion IS DISTINCT FROM "
    "pg_database_collation_actual_version(oid) FROM pg_database WHERE datname = current_database())";

constexpr int kDatabaseCollationVersions = 150000;

std::string ChangedIndexesQuery(int server_version) {
  return fmt::format(kChangedIndexes,
                     server_version >= kDatabaseCollationVersions ? kDatabaseCollationChanged : "false");
}

// The looks below read as few catalogs as possible: the first time in a server's life, each costs more than the query.
std::string OverviewQuery(int server_version) {
  return fmt::format(
      "SELECT EXISTS (SELECT FROM pg_catalog.pg_subscription), EXISTS (SELECT FROM pg_catalog.pg_prepared_xact()), {}",
      server_version >= kDatabaseCollationVersions ? kDatabaseCollationChanged : "false");
}

bool IsTrue(const std::optional<std::string>& value) { return value == "t"; }

// Whether an index sorts by anything but the database's collation and C: only then versions of collations matter.
Result<bool> AnyIndexHasOwnCollation(client::Connection& connection) {
  constexpr auto kWithoutVersion =
      std::to_array<std::string_view>({"0", "100", "950", "951"});  // none, "default", "C" and "POSIX"
  PGS_ASSIGN(const auto rows, connection.Query("SELECT indcollation FROM pg_catalog.pg_index"));
  for (const auto& row : rows) {
    for (const auto oid : Split(*row[0], ' ')) {
      if (!oid.empty() && std::ranges::find(kWithoutVersion, oid) == kWithoutVersion.end()) return true;
    }
  }
  return false;
}

// In the catalog that all databases share, not by ALTER SUBSCRIPTION: that needs a connection to each one's database,
// and a database may allow none.
Status DisableSubscriptions(client::Connection& connection) {
  PGS_TRY(connection.Execute("UPDATE pg_catalog.pg_subscription SET subenabled = false, subslotname = NULL"));
  return {};
}

Status NamePreparedTransactions(client::Connection& connection, PostStartReport& report) {
  PGS_ASSIGN(const auto rows,
             connection.Query("SELECT gid, database, prepared::text FROM pg_catalog.pg_prepared_xacts"));
  for (const auto& row : rows) {
    report.warnings.push_back(fmt::format(
        "transaction {0} of database \"{1}\", prepared at {2}, holds its locks; end it with ROLLBACK PREPARED {0}",
        client::QuoteLiteral(*row[0]), *row[1], *row[2]));
  }
  return {};
}

Status LookAtCollations(client::Connection& connection, bool no_text_index, PostStartReport& report) {
  PGS_ASSIGN(const auto rows, connection.Query(ChangedIndexesQuery(connection.server_version())));
  if (rows.empty()) return {};
  std::string names;
  std::string oids;
  for (const auto& row : rows) {
    names += (names.empty() ? "" : ", ") + *row[0];
    oids += (oids.empty() ? "" : ", ") + *row[1];
  }
  if (no_text_index) {
    PGS_TRY(connection.Execute("UPDATE pg_catalog.pg_index SET indisvalid = false WHERE indexrelid IN (" + oids + ")"));
    report.warnings.push_back("text sorts differently on this machine; the planner is kept off: " + names);
    return {};
  }
  report.warnings.push_back(
      "text sorts differently on this machine than where these indexes were built, so they may miss rows: " + names +
      " (--no-text-index keeps the planner off them, REINDEX rebuilds them)");
  return {};
}

}  // namespace

Result<PostStartReport> CheckAfterStart(client::Connection& connection, bool no_text_index) {
  PostStartReport report;
  PGS_ASSIGN(const auto overview, connection.Query(OverviewQuery(connection.server_version())));
  const auto& row = overview.at(0);
  if (IsTrue(row[0])) PGS_TRY(DisableSubscriptions(connection));
  if (IsTrue(row[1])) PGS_TRY(NamePreparedTransactions(connection, report));
  PGS_ASSIGN(const bool own_collations, AnyIndexHasOwnCollation(connection));
  if (IsTrue(row[2]) || own_collations) PGS_TRY(LookAtCollations(connection, no_text_index, report));
  return report;
}

Status ForgetSessionLibraries(client::Connection& connection) {
  // Rows without any setting are not allowed to stay.
  PGS_TRY(connection.Execute(
      "DELETE FROM pg_catalog.pg_db_role_setting WHERE NOT EXISTS (SELECT FROM unnest(setconfig) setting "
      "  WHERE NOT starts_with(setting, 'session_preload_libraries=')); "
      "UPDATE pg_catalog.pg_db_role_setting SET setconfig = ARRAY(SELECT setting FROM unnest(setconfig) setting "
      "  WHERE NOT starts_with(setting, 'session_preload_libraries=')) "
      "WHERE EXISTS (SELECT FROM unnest(setconfig) setting WHERE starts_with(setting, 'session_preload_libraries='))"));
  return {};
}

}  // namespace pgstrata::branch
