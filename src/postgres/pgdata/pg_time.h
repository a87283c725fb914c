// PostgreSQL's two clocks as ours.
#pragma once

#include <cstdint>
#include <string>

#include "foundation/base/types.h"

namespace pgstrata::pgdata {

// `pg_time_t`: seconds since 1970 (src/include/pgtime.h). Values that nanoseconds cannot hold are clamped.
Timestamp FromPgTime(int64_t seconds);
// `TimestampTz`: microseconds since 2000-01-01 00:00:00 UTC (src/include/datatype/timestamp.h). Clamped likewise.
Timestamp FromTimestampTz(int64_t microseconds);

// "2026-11-20 23:03:47.703018+00": to the microsecond, as WAL has it.
std::string FormatExactly(Timestamp time);

}  // namespace pgstrata::pgdata
