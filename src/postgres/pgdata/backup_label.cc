#include "postgres/pgdata/backup_label.h"

#include "postgres/pgdata/backup_label_lines.h"

namespace pgstrata::pgdata {

Result<BackupLabel> ParseBackupLabel(std::string_view text) {
  PGS_ASSIGN(const BackupLabelLines lines, BackupLabelLines::Parse(kBackupLabelPath, text, {}));
  return lines.Label();
}

}  // namespace pgstrata::pgdata
