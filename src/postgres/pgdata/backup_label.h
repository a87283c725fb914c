// backup_label, and its sibling in the archive, the backup history file
// (src/backend/access/transam/xlogbackup.c, read_backup_label in xlogrecovery.c).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "foundation/base/error.h"
#include "foundation/base/types.h"

namespace pgstrata::pgdata {

constexpr std::string_view kBackupLabelPath = "backup_label";

// 17 and later: the backup that an incremental one stands on.
struct IncrementalBase {
  Lsn lsn;  // START WAL LOCATION of that backup
  TimelineId timeline;
};

struct BackupLabel {
  Lsn start;  // the redo pointer of the backup's checkpoint: recovery begins here
  std::string start_wal_file;
  Lsn checkpoint;
  std::string method;         // "streamed", or "pg_start_backup" (exclusive, 14)
  bool from_standby = false;  // then consistency comes from pg_control's minimum recovery point
  std::string start_time;     // in the words of the file: the zone is an abbreviation that only the server can resolve
  std::string label;
  TimelineId start_timeline;
  std::optional<IncrementalBase> incremental_base;
};

// kCorrupt where the first line is not START WAL LOCATION, CHECKPOINT LOCATION is missing, or a line does not parse;
// kUnsupported where a line stands in it that none of 14 to 18 writes. What PostgreSQL takes as optional is optional
// here: without START TIMELINE the timeline is that of the segment's name.
Result<BackupLabel> ParseBackupLabel(std::string_view text);

}  // namespace pgstrata::pgdata
