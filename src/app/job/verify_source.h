// Walks everything that a source holds and says what is damaged.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "app/job/verify_wal.h"
#include "backup/image/damage.h"
#include "backup/source/source.h"
#include "foundation/base/error.h"

namespace pgstrata::job {

struct VerifiedSource {
  std::string source;                // the backup, as a path
  std::vector<std::string> backups;  // that were walked, the oldest first, as a Damage names them
  image::Verified verified;
  // Nothing where pg_control is too damaged to say it.
  std::optional<bool> data_checksums;
  std::optional<VerifiedWal> wal;  // nothing where it could not be looked at
  std::vector<std::string> notes;  // what else a person should know
};

// The backup that `request` names and all that it stands on: every checksum that its format has, every page of its
// relations, and the WAL that it needs. A backup that its catalog calls damaged is looked at all the same. `report` is
// called for each damage, by one thread at a time, in no order; damage is no error. The errors of source::Resolve,
// where nothing can be looked at.
Result<VerifiedSource> VerifySource(const source::SourceRequest& request, const image::VerifyOptions& options,
                                    const std::function<void(const image::Damage&)>& report);

}  // namespace pgstrata::job
