// What backups a catalog holds, which stand on which, and which open: for a person who looks for the one to open.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "backup/source/source.h"
#include "foundation/base/error.h"

namespace pgstrata::source {

struct ListedSnapshot {
  std::string name;    // "TOTJZ9", "20261120-210437F", the name of a directory
  std::string kind;    // in the catalog's words: "FULL", "DELTA", "full", "diff", "incr"
  std::string status;  // likewise; empty where it has none
  std::string parent;  // the name of the one that it stands on; empty: none, or nobody knows
  std::string start_time;
  std::string end_time;
  std::string start_lsn;
  std::string stop_lsn;
  std::optional<uint32_t> timeline;
  std::string version;                   // of PostgreSQL
  std::optional<uint64_t> bytes;         // of the cluster
  std::optional<uint64_t> stored_bytes;  // what this backup alone takes in the catalog
  std::string note;
  std::string source;            // what a command takes as SOURCE to open it
  std::optional<Error> problem;  // why it does not open; nothing: it does, as far as the catalog's lists tell
};

// An instance, a stanza, a directory.
struct SnapshotGroup {
  std::string name;      // "main"; empty where the place is the group
  std::string location;  // where its backups lie
  // Why it cannot be listed.
  std::optional<Error> problem;
  // Those that stand on others behind them, the older before the newer.
  std::vector<ListedSnapshot> snapshots;
};

struct SnapshotList {
  std::string kind;      // "pg_probackup", "pgbackrest", "dir"
  std::string location;  // of the catalog, absolute
  std::vector<SnapshotGroup> groups;
};

// The catalog that request.source names, a part of it, or a backup in it (then its instance or stanza): a pg_probackup
// catalog, a pgBackRest repository or what its configuration says of a stanza, a directory of base backups. Reads lists
// and no data. What is damaged is listed with its problem and harms nobody else. kInvalidArgument where nothing of that
// kind is there; else the errors of Resolve.
Result<SnapshotList> ListSnapshots(const SourceRequest& request);

}  // namespace pgstrata::source
