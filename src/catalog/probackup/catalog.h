// A pg_probackup catalog: where its backups lie and what it holds (docs/format/pg_probackup.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "catalog/probackup/backup_control.h"
#include "foundation/base/error.h"

namespace pgstrata::probackup {

// A place in a catalog that a user named.
struct BackupPlace {
  std::string directory;  // of the backup, absolute, links resolved
  uint32_t external = 0;  // the external directory in it that was named; 0: the backup
};

// CATALOG/INSTANCE/ID, CATALOG/INSTANCE/ID/externaldirN, or any path that FindBackupAt knows. kNotFound otherwise, with
// what is there as far as that can be told.
Result<BackupPlace> FindBackup(const std::string& name);
// A native path: a backup's directory, its "database", or an external directory of it. Nothing for other paths.
std::optional<BackupPlace> FindBackupAt(const std::string& path);
// Whether `path` is a catalog: a directory with "backups" and "wal" in it.
bool IsCatalog(const std::string& path);

// CATALOG/wal/INSTANCE for a backup's directory.
std::string WalDirectoryOf(const std::string& backup_directory);

struct ListedBackup {
  std::string id;         // the name of its directory
  std::string directory;  // absolute
  // Nothing where backup.control is missing or damaged: then `problem` says so.
  std::optional<BackupControl> control;
  std::vector<std::string> chain;  // IDs of its parents, its own parent first, as far as they are there
  std::optional<Error> problem;    // why it cannot be opened; nothing: it can
};

struct ListedInstance {
  std::string name;
  std::string directory;
  std::string wal_directory;          // where it would be
  std::vector<ListedBackup> backups;  // the oldest first
};

// Every instance and backup, from their control files alone: no file list is read and no lock is taken. Damaged backups
// are listed, with their problem. kInvalidArgument where `path` is no catalog.
Result<std::vector<ListedInstance>> ListCatalog(const std::string& path);

}  // namespace pgstrata::probackup
