// Times as pg_probackup writes them: "2026-11-20 21:06:45+00".
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace pgstrata::probackup {

// Seconds since 1970 UTC. The zone may be "+00", "-03", "+05:30" or "+0530"; without one it is the zone of this
// machine, as pg_probackup reads it. Nothing where it is no such time, or one before 1970.
std::optional<uint64_t> ParseRecordedTime(std::string_view text);

}  // namespace pgstrata::probackup
