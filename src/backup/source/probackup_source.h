// A backup in a pg_probackup catalog as a source.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "backup/source/source.h"
#include "catalog/probackup/catalog.h"
#include "foundation/base/error.h"

namespace pgstrata::source {

// `rest` is CATALOG/INSTANCE/ID, or a native path in a backup's directory; or CATALOG, or CATALOG/INSTANCE, of whose
// backups one is chosen. An external directory of a backup becomes an image of its own: its files can be looked at, and
// it is no database. WAL of an ARCHIVE backup comes from the catalog.
Result<ResolvedSource> ResolveProbackup(const std::string& rest, const SourceRequest& request);

// A catalog, or one instance of it.
struct ProbackupCatalog {
  std::string catalog;
  std::string instance;  // empty: all
};
// `rest` as above, or a path in either; of a backup its instance. Nothing where there is no catalog.
std::optional<ProbackupCatalog> FindProbackupCatalog(const std::string& rest);

// Where the backup lies that ResolveProbackup opens, whether or not it can be opened.
Result<probackup::BackupPlace> FindProbackup(const std::string& rest, const SourceRequest& request);

// Whether this path names a catalog, an instance or a backup of one, or a place in a backup.
bool IsProbackupPath(const std::string& path);

// The parts of the name pg_probackup:CATALOG/INSTANCE/ID.
struct ProbackupPlace {
  std::string catalog;
  std::string instance;
  std::string id;  // the name of the backup's directory
};
// Of CATALOG/backups/INSTANCE/ID, whether anything lies there or not; nothing of other paths.
std::optional<ProbackupPlace> ProbackupPlaceOf(std::string_view path);

}  // namespace pgstrata::source
