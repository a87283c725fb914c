// Which of several backups is meant.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "backup/source/source.h"
#include "foundation/base/error.h"
#include "foundation/base/types.h"

namespace pgstrata::source {

// The number of the one of `choices`, a line for each (at least one): of one alone it; else what request.choose says.
// Without that kInvalidArgument with the list. `place`, as typed, is where they lie.
Result<size_t> ChooseBackup(const std::string& place, const std::vector<std::string>& choices,
                            const SourceRequest& request);

// A backup that can be opened, and when it ended, as far as that is known.
struct BackupEnd {
  size_t number = 0;              // the caller's
  std::optional<Timestamp> time;  // to the second, the fraction cut off
  std::optional<Lsn> lsn;
};
// The number of the newest one of `backups` that ended before `limit`; one alone is taken whatever it is. Where only
// the second is the same, it is taken if there is no older one. kNotFound where all ended later or it is not known.
Result<size_t> NewestBefore(const std::string& place, const std::vector<BackupEnd>& backups, const EndedBefore& limit);

}  // namespace pgstrata::source
