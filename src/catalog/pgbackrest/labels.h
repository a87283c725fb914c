// The names of backups: YYYYMMDD-HHMMSSF of a full one, FULL_YYYYMMDD-HHMMSSD and ...I of those that stand on it.
#pragma once

#include <string>
#include <string_view>

namespace pgstrata::pgbackrest {

bool IsBackupLabel(std::string_view text);

// The full backup that the one of this label stands on, or itself.
std::string FullLabelOf(std::string_view label);

}  // namespace pgstrata::pgbackrest
