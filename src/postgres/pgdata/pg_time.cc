#include "postgres/pgdata/pg_time.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace pgstrata::pgdata {
namespace {

constexpr int64_t kMicrosecondsTo2000 = 946'684'800'000'000;  // from 1970
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

int64_t ScaleClamped(int64_t value, int64_t factor) {
  return std::clamp(value, -kMax / factor, kMax / factor) * factor;
}

}  // namespace

Timestamp FromPgTime(int64_t seconds) { return {ScaleClamped(seconds, 1'000'000'000)}; }

Timestamp FromTimestampTz(int64_t microseconds) {
  const int64_t since_1970 = microseconds > kMax - kMicrosecondsTo2000 ? kMax : microseconds + kMicrosecondsTo2000;
  return {ScaleClamped(since_1970, 1'000)};
}

std::string FormatExactly(Timestamp time) {
  std::string text = time.ToString();
  const int64_t microseconds = time.unix_ns % 1'000'000'000 / 1'000;
  if (microseconds > 0) text.insert(text.find('+'), fmt::format(".{:06}", microseconds));
  return text;
}

}  // namespace pgstrata::pgdata
