// The PG_VERSION file: the main authority for a cluster's major version (src/backend/utils/init/miscinit.c).
#pragma once

#include <string_view>

#include "foundation/base/error.h"

namespace pgstrata::pgdata {

constexpr int kOldestMajorVersion = 14;
constexpr int kNewestMajorVersion = 18;

// "15\n" -> 15. kCorrupt where it is no version, kUnsupported where it is one outside 14 to 18.
Result<int> ParsePgVersion(std::string_view text);

}  // namespace pgstrata::pgdata
