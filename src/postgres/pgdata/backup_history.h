// NNNNNNNNNNNNNNNNNNNNNNNN.OOOOOOOO.backup in a WAL archive: where a backup ended
// (src/backend/access/transam/xlogbackup.c).
#pragma once

#include <string>
#include <string_view>

#include "postgres/pgdata/backup_label.h"

namespace pgstrata::pgdata {

struct BackupHistory {
  BackupLabel label;
  Lsn stop;
  std::string stop_wal_file;
  std::string stop_time;  // in the words of the file
  TimelineId stop_timeline;
};

// Errors as ParseBackupLabel.
Result<BackupHistory> ParseBackupHistory(std::string_view text);

}  // namespace pgstrata::pgdata
