// Reads everything that the backups of a chain hold and says what is damaged.
#pragma once

#include <functional>
#include <string>

#include "backup/image/damage.h"
#include "foundation/base/error.h"

namespace pgstrata::probackup {

// The files of external directory N are below "externaldirN" in a Damage.
using image::Damage;
using image::Verified;
using image::VerifyOptions;

// Every file of every backup of the chain whose newest one is in `directory`: list and content checksums, page header
// maps, records, each page unpacked and compared with its checksums; and what no backup of the chain holds. `report` is
// called for each damage, by one thread at a time, in no order. Fails only where the chain itself cannot be opened (the
// errors of FindChain).
Result<Verified> VerifyChain(const std::string& directory, bool force, const VerifyOptions& options,
                             const std::function<void(const Damage&)>& report);

}  // namespace pgstrata::probackup
