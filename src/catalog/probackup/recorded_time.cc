#include "catalog/probackup/recorded_time.h"

#include <algorithm>
#include <ctime>

#include "foundation/base/text.h"

namespace pgstrata::probackup {
namespace {

constexpr int64_t kSecondsPerMinute = 60;
constexpr int64_t kMinutesPerHour = 60;

// A number of exactly `digits` digits at `position`, not above `largest`.
std::optional<int> FixedNumber(std::string_view text, size_t position, size_t digits, uint64_t largest) {
  if (text.size() < position + digits) return std::nullopt;
  const auto number = ParseDecimal(text.substr(position, digits));
  if (!number || *number > largest) return std::nullopt;
  return static_cast<int>(*number);
}

// "+05:30" as seconds east of Greenwich.
std::optional<int64_t> ParseZone(std::string_view zone) {
  const int64_t sign = zone.front() == '-' ? -1 : 1;
  const auto hours = FixedNumber(zone, 1, 2, 15);
  if (!hours) return std::nullopt;
  std::string_view rest = zone.substr(3);
  if (rest.starts_with(':')) rest.remove_prefix(1);
  const auto minutes = rest.empty() ? std::optional(0) : FixedNumber(rest, 0, 2, 59);
  if (!minutes || rest.size() > 2) return std::nullopt;
  return sign * (*hours * kMinutesPerHour + *minutes) * kSecondsPerMinute;
}

}  // namespace

std::optional<uint64_t> ParseRecordedTime(std::string_view text) {
  constexpr std::string_view kShape = "dddd-dd-dd dd:dd:dd";
  if (text.size() < kShape.size()) return std::nullopt;
  for (size_t i = 0; i < kShape.size(); ++i) {
    if (kShape[i] != 'd' && text[i] != kShape[i]) return std::nullopt;
  }
  const auto year = FixedNumber(text, 0, 4, 9999);
  const auto month = FixedNumber(text, 5, 2, 12);
  const auto day = FixedNumber(text, 8, 2, 31);
  const auto hour = FixedNumber(text, 11, 2, 23);
  const auto minute = FixedNumber(text, 14, 2, 59);
  const auto second = FixedNumber(text, 17, 2, 60);
  if (!year || !month || !day || !hour || !minute || !second || *year < 1970 || *month == 0 || *day == 0) {
    return std::nullopt;
  }
  std::tm parts{.tm_sec = *second,
                .tm_min = *minute,
                .tm_hour = *hour,
                .tm_mday = *day,
                .tm_mon = *month - 1,
                .tm_year = *year - 1900,
                .tm_isdst = -1};
  std::string_view zone = text.substr(kShape.size());
  if (zone.starts_with('.')) zone.remove_prefix(std::min(zone.find_first_not_of("0123456789", 1), zone.size()));
  zone = TrimWhitespace(zone);
  int64_t seconds = 0;
  if (zone.empty()) {
    seconds = ::mktime(&parts);
  } else {
    if (zone.front() != '+' && zone.front() != '-') return std::nullopt;
    const auto offset = ParseZone(zone);
    if (!offset) return std::nullopt;
    seconds = ::timegm(&parts) - *offset;
  }
  if (seconds <= 0) return std::nullopt;
  return static_cast<uint64_t>(seconds);
}

}  // namespace pgstrata::probackup
