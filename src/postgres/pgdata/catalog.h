// Shared catalogs read from the bytes of their relations, without a server (src/include/catalog/pg_authid.h,
// pg_database.h, pg_subscription.h).
//
// Before recovery the files hold what was on disk: a row whose transaction's end is not known is taken, and of several
// versions of one row the newest wins. So the answer is a good guess for an online backup, exact for a stopped cluster.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "foundation/base/bytes.h"
#include "foundation/base/error.h"
#include "foundation/base/types.h"
#include "postgres/pgdata/clog_reader.h"

namespace pgstrata::pgdata {

// Mapped catalogs, for ParseFilenodeMap of global/pg_filenode.map.
constexpr Oid kAuthidCatalog{1260};
constexpr Oid kDatabaseCatalog{1262};
constexpr Oid kSubscriptionCatalog{6100};

constexpr Oid kBootstrapSuperuser{10};

struct Role {
  Oid oid;
  std::string name;
  bool superuser = false;
  bool can_login = false;
};

struct Database {
  Oid oid;
  std::string name;
  bool allows_connections = false;
  bool is_template = false;
};

// The main fork of one relation.
struct RelationPages {
  uint32_t count = 0;
  // Fills `page` (kPageSize bytes) with block `block` < count.
  std::function<Status(BlockNumber block, MutableBytes page)> read;
};
// Over the whole bytes of a relation; a torn last page is left out.
RelationPages PagesOf(ByteView relation);

// Sorted by OID. `major_version`: 14 to 18, others are kUnsupported. kCorrupt where a page or tuple is unsound.
Result<std::vector<Role>> ReadRoles(int major_version, const RelationPages& pages,
                                    const TransactionStatusLookup& status);
Result<std::vector<Database>> ReadDatabases(int major_version, const RelationPages& pages,
                                            const TransactionStatusLookup& status);
// Live rows of pg_subscription.
Result<uint64_t> CountSubscriptions(const RelationPages& pages, const TransactionStatusLookup& status);

}  // namespace pgstrata::pgdata
