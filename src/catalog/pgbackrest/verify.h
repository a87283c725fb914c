// Reads everything of a backup and compares every checksum that the format has.
#pragma once

#include <functional>

#include "backup/image/damage.h"
#include "backup/image/page_check.h"
#include "catalog/pgbackrest/backup_image.h"
#include "foundation/base/error.h"

namespace pgstrata::pgbackrest {

using image::Damage;
using image::Verified;
using image::VerifyOptions;

// Of every file: the SHA-1 of what is stored, each block of a block incremental file against its map, the SHA-1 of the
// content, and the pages of relations by `rules`, which also say where in a stream the damage is. The backup that a
// Damage names is the one that holds the bytes. Damage is told to `report`, by one thread at a time, in no order.
// Nothing of it goes through a cache.
Verified VerifyBackup(const BackupImage& image, const image::PageRules& rules, const VerifyOptions& options,
                      const std::function<void(const Damage&)>& report);

}  // namespace pgstrata::pgbackrest
