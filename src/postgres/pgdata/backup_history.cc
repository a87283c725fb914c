#include "postgres/pgdata/backup_history.h"

#include <array>

#include "postgres/pgdata/backup_label_lines.h"

namespace pgstrata::pgdata {

Result<BackupHistory> ParseBackupHistory(std::string_view text) {
  constexpr std::string_view kStop = "STOP WAL LOCATION";
  constexpr std::string_view kStopTime = "STOP TIME";
  constexpr std::string_view kStopTimeline = "STOP TIMELINE";
  constexpr std::array kStopKeys = {kStop, kStopTime, kStopTimeline};
  PGS_ASSIGN(const BackupLabelLines lines, BackupLabelLines::Parse("backup history file", text, kStopKeys));

  BackupHistory history;
  PGS_ASSIGN(history.label, lines.Label());
  PGS_ASSIGN(WalPosition stop, lines.Position(kStop));
  history.stop = stop.lsn;
  history.stop_wal_file = std::move(stop.wal_file);
  history.stop_time = lines.Text(kStopTime);
  PGS_ASSIGN(history.stop_timeline, lines.Timeline(kStopTimeline));
  return history;
}

}  // namespace pgstrata::pgdata
