// Times of day as clocks on a wall show them.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "foundation/base/types.h"

namespace pgstrata::pgdata {

struct LocalTime {
  std::chrono::year_month_day date;
  int64_t seconds = 0;  // of the day; 60 more than there are where a leap second is written
  int64_t nanoseconds = 0;

  // `offset` seconds east of Greenwich.
  [[nodiscard]] Timestamp AtOffset(int64_t offset) const;
  // In a zone of the time zone database, or one written as TZ wants it (POSIX); empty: this machine's. Where clocks
  // show a time twice, it is the one in standard time, as in PostgreSQL. Nothing where the zone is not known here.
  // Changes the environment's TZ for a moment.
  [[nodiscard]] std::optional<Timestamp> InZone(const std::string& zone) const;
};

// Whether the time zone database of this machine has it.
bool IsKnownZone(const std::string& name);

}  // namespace pgstrata::pgdata
