// Which of several backups is meant.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "backup/source/source.h"
#include "foundation/base/error.h"

namespace pgstrata::source {

// The number of the one of `choices`, a line for each (at least one): of one alone it; else what request.choose says.
// Without that kInvalidArgument with the list. `place`, as typed, is where they lie.
Result<size_t> ChooseBackup(const std::string& place, const std::vector<std::string>& choices,
                            const SourceRequest& request);

}  // namespace pgstrata::source
