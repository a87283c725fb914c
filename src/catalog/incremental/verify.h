// Whether the bytes of a chain are sound: every file of a backup against its manifest, every page of what is shown
// against its checksum.
#pragma once

#include <functional>
#include <string>

#include "backup/image/damage.h"
#include "backup/image/image.h"
#include "catalog/incremental/combined_image.h"
#include "foundation/base/error.h"

namespace pgstrata::incremental {

using image::Damage;
using image::Verified;

// Called for each damage; an error of it ends the walk and is the result.
using OnDamage = std::function<Status(const Damage&)>;

// Reads every file that backup_manifest lists, in its order: what is missing, has another size or another checksum.
// WAL, and what came into the directory later, is not listed. kNotFound where there is no manifest.
Result<Verified> VerifyAgainstManifest(const image::Image& backup, const OnDamage& on_damage);

// Reads every page of every relation of the combined backup: what cannot be read, and, where the cluster has data
// checksums, pages whose checksum or header is wrong. A page that changed after its backup began may be torn, recovery
// replaces it: it is passed over, as pg_basebackup does.
Result<Verified> VerifyPages(const CombinedImage& image, const OnDamage& on_damage);

}  // namespace pgstrata::incremental
