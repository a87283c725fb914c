// Whether the bytes of base backups are sound: every file of one against its manifest, every page against its
// checksum, and whether what a chain is put together from is there.
#pragma once

#include <functional>
#include <string>

#include "backup/image/damage.h"
#include "backup/image/image.h"
#include "backup/image/page_check.h"
#include "catalog/incremental/combined_image.h"
#include "foundation/base/error.h"

namespace pgstrata::incremental {

using image::Damage;
using image::Verified;
using image::VerifyOptions;
// Called by one thread at a time, in no order.
using OnDamage = std::function<void(const Damage&)>;

// Reads every file of a backup as it lies there, an incremental one too. Where it has a backup_manifest: that file's
// own checksum, and each file that it lists: missing, of another size, of another checksum, and files that it does not
// list. As pg_verifybackup does, it leaves out WAL and what pg_basebackup -R makes; what that appended to
// postgresql.auto.conf is passed over. Pages of relations are compared with `rules`, which finds the damaged block in a
// file whose checksum is wrong. Fails only where the backup cannot be listed.
Result<Verified> VerifyBackup(const image::Image& backup, const image::PageRules& rules, const VerifyOptions& options,
                              const OnDamage& on_damage);

// Whether the files that a chain's image is put together from are there: without reading pages. Tells the first block
// of each file that cannot be read.
Result<Verified> VerifyChain(const CombinedImage& image, const OnDamage& on_damage);

}  // namespace pgstrata::incremental
