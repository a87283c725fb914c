// backup.info and archive.info: what a stanza holds. Pure: text in, facts out.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "foundation/base/error.h"

namespace pgstrata::pgbackrest {

// A cluster that the stanza has had: an upgrade gives it another.
struct ClusterVersion {
  std::string version;  // "15", "9.6"
  uint64_t system_identifier = 0;
};

// A line of [backup:current].
struct BackupRecord {
  std::string label;
  std::string type;                     // "full", "diff", "incr"
  std::string prior;                    // the backup that it stands on; empty for a full one
  std::vector<std::string> references;  // those that hold some of its data
  int64_t start_time = 0;               // seconds since 1970
  int64_t stop_time = 0;
  std::string start_lsn;  // empty where the backup was made offline
  std::string stop_lsn;
  std::string first_wal;
  std::string last_wal;
  uint64_t size = 0;        // bytes of the cluster
  uint64_t delta_size = 0;  // of these: what this backup stored
  uint64_t repository_size = 0;
  uint64_t repository_delta_size = 0;
  uint32_t cluster_id = 0;  // into the histories
  bool online = true;
  bool page_errors = false;  // the backup found pages with wrong checksums
};

struct BackupInfo {
  std::string passphrase;  // of the manifests; empty where they are not encrypted
  std::map<uint32_t, ClusterVersion> history;
  std::vector<BackupRecord> backups;  // in the order of their labels
};

struct ArchiveInfo {
  std::string passphrase;  // of the WAL; empty where it is not encrypted
  std::map<uint32_t, ClusterVersion> history;
};

// kCorrupt, kUnsupported: as VisitInfoText.
Result<BackupInfo> ParseBackupInfo(std::string_view text);
Result<ArchiveInfo> ParseArchiveInfo(std::string_view text);

}  // namespace pgstrata::pgbackrest
