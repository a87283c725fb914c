// Reads everything of a backup and compares every checksum that the format has.
#pragma once

#include <functional>
#include <string_view>

#include "backup/image/damage.h"
#include "catalog/pgbackrest/backup_image.h"
#include "foundation/base/error.h"

namespace pgstrata::pgbackrest {

using image::Damage;
using image::Verified;

struct VerifyEvents {
  std::function<void(const Damage&)> damage;
  // After each file; a failure ends the walk with that error. May be empty.
  std::function<Status(std::string_view path)> done;
};

// Of every file: the SHA-1 of what is stored, each block of a block incremental file against its map, the SHA-1 of the
// content. Damage is reported and is no error of the walk. Nothing of it goes through a cache.
Result<Verified> VerifyBackup(const BackupImage& image, const VerifyEvents& events);

}  // namespace pgstrata::pgbackrest
