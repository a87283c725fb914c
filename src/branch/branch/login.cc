#include "branch/branch/login.h"

#include <algorithm>

#include "postgres/pgdata/catalog.h"
#include "postgres/pgdata/filenode_map.h"

namespace pgstrata::branch {
namespace {

using pgdata::Database;
using pgdata::Role;

// Catalogs of roles and databases are small: read whole.
Result<std::string> ReadMappedCatalog(Oid catalog, const ClusterFileReader& read) {
  PGS_ASSIGN(const std::string map_bytes, read("global/pg_filenode.map"));
  PGS_ASSIGN(const auto map, pgdata::ParseFilenodeMap(AsBytes(map_bytes)));
  const auto file = map.find(catalog);
  if (file == map.end()) {
    return Fail(ErrorCode::kCorrupt,
                "global/pg_filenode.map does not know the catalog " + std::to_string(catalog.value));
  }
  return read("global/" + std::to_string(file->second));
}

const Role* ChooseRole(const std::vector<Role>& roles) {
  const auto first = [&](auto&& matches) -> const Role* {
    const auto found = std::ranges::find_if(roles, matches);
    return found == roles.end() ? nullptr : &*found;
  };
  if (const Role* bootstrap =
          first([](const Role& role) { return role.oid == pgdata::kBootstrapSuperuser && role.can_login; })) {
    return bootstrap;
  }
  if (const Role* superuser = first([](const Role& role) { return role.superuser && role.can_login; }))
    return superuser;
  return first([](const Role& role) { return role.can_login; });
}

const Database* ChooseDatabase(const std::vector<Database>& databases) {
  const auto named = [&](std::string_view name) {
    return std::ranges::find_if(databases, [&](const Database& database) {
      return database.allows_connections && (name.empty() || database.name == name);
    });
  };
  for (const std::string_view name : {"postgres", "template1", ""}) {
    if (const auto found = named(name); found != databases.end()) return &*found;
  }
  return nullptr;
}

}  // namespace

Result<Login> ChooseLogin(int major_version, bool settled, const std::string& database, const ClusterFileReader& read) {
  pgdata::ClogReader clog([&](std::string_view name) { return read("pg_xact/" + std::string(name)); }, settled);
  const auto status = [&](uint32_t xid) { return clog.Status(xid); };
  PGS_ASSIGN(const std::string role_bytes, ReadMappedCatalog(pgdata::kAuthidCatalog, read));
  PGS_ASSIGN(const auto roles, pgdata::ReadRoles(major_version, pgdata::PagesOf(AsBytes(role_bytes)), status));
  const Role* role = ChooseRole(roles);
  if (role == nullptr) return Fail(ErrorCode::kUnsupported, "no role of this cluster can log in");
  Login login{.role = role->name, .database = database, .superuser = role->superuser};
  if (!database.empty()) return login;
  PGS_ASSIGN(const std::string database_bytes, ReadMappedCatalog(pgdata::kDatabaseCatalog, read));
  PGS_ASSIGN(const auto databases,
             pgdata::ReadDatabases(major_version, pgdata::PagesOf(AsBytes(database_bytes)), status));
  const Database* chosen = ChooseDatabase(databases);
  if (chosen == nullptr) return Fail(ErrorCode::kUnsupported, "no database of this cluster allows connections");
  login.database = chosen->name;
  return login;
}

}  // namespace pgstrata::branch
