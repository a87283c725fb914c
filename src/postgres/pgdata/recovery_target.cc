#include "postgres/pgdata/recovery_target.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <chrono>
#include <limits>
#include <optional>
#include <utility>

#include "foundation/base/text.h"
#include "postgres/pgdata/local_time.h"

namespace pgstrata::pgdata {
namespace {

using Kind = RecoveryTarget::Kind;

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kMinute = 60 * kSecond;
constexpr int64_t kHour = 60 * kMinute;
constexpr int64_t kDay = 24 * kHour;
constexpr size_t kLongestRestorePoint = 63;

struct Unit {
  std::string_view name;
  int64_t nanoseconds;
};
constexpr std::array kUnits = std::to_array<Unit>({
    {"s", kSecond},   {"sec", kSecond},  {"secs", kSecond},   {"second", kSecond},  {"seconds", kSecond},
    {"min", kMinute}, {"mins", kMinute}, {"minute", kMinute}, {"minutes", kMinute}, {"h", kHour},
    {"hr", kHour},    {"hrs", kHour},    {"hour", kHour},     {"hours", kHour},     {"d", kDay},
    {"day", kDay},    {"days", kDay},    {"w", 7 * kDay},     {"week", 7 * kDay},   {"weeks", 7 * kDay},
});

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; }

// Reads from the front of a text.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  [[nodiscard]] std::string_view rest() const { return rest_; }
  [[nodiscard]] bool done() const { return rest_.empty(); }
  bool Take(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void SkipBlanks() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t"), rest_.size())); }
  std::string_view TakeWhile(bool (*belongs)(char)) {
    const auto end = std::ranges::find_if_not(rest_, belongs);
    const std::string_view taken = rest_.substr(0, static_cast<size_t>(end - rest_.begin()));
    rest_.remove_prefix(taken.size());
    return taken;
  }
  // A number of `fewest` to `most` digits, not above `largest`.
  std::optional<int> Number(size_t fewest, size_t most, uint64_t largest) {
    size_t digits = 0;
    while (digits < most && digits < rest_.size() && IsDigit(rest_[digits])) ++digits;
    const auto number = ParseDecimal(rest_.substr(0, digits));
    if (digits < fewest || !number || *number > largest) return std::nullopt;
    rest_.remove_prefix(digits);
    return static_cast<int>(*number);
  }

 private:
  std::string_view rest_;
};

// "5min", "1 hour 30 minutes", as nanoseconds.
std::optional<int64_t> ParseDuration(std::string_view text) {
  Scanner scanner(TrimWhitespace(text));
  if (scanner.done()) return std::nullopt;
  int64_t sum = 0;
  while (!scanner.done()) {
    const auto number = ParseDecimal(scanner.TakeWhile(IsDigit));
    scanner.SkipBlanks();
    const std::string_view name = scanner.TakeWhile(IsLetter);
    scanner.SkipBlanks();
    const auto* unit = std::ranges::find(kUnits, name, &Unit::name);
    if (!number || unit == kUnits.end()) return std::nullopt;
    if (*number > static_cast<uint64_t>((std::numeric_limits<int64_t>::max() - sum) / unit->nanoseconds)) {
      return std::nullopt;
    }
    sum += static_cast<int64_t>(*number) * unit->nanoseconds;
  }
  return sum;
}

// The text between what makes a time relative; nothing where nothing does.
std::optional<std::string_view> RelativePart(std::string_view text) {
  constexpr std::string_view kAgo = "ago";
  if (text.starts_with('-')) return text.substr(1);
  if (!text.ends_with(kAgo) || text.size() == kAgo.size()) return std::nullopt;
  const std::string_view before = text.substr(0, text.size() - kAgo.size());
  return IsLetter(before.back()) && ParseDuration(before) == std::nullopt ? std::nullopt : std::optional(before);
}

// "2026-11-20" with perhaps "T23:03:38.7", split from the zone that follows.
struct WrittenTime {
  LocalTime local;
  std::string_view zone;  // empty: none
};

bool TakeDate(Scanner& scanner, LocalTime& local) {
  const auto year = scanner.Number(4, 4, 2261);  // what nanoseconds since 1970 can hold
  if (!year || *year < 1970 || !scanner.Take('-')) return false;
  const auto month = scanner.Number(1, 2, 12);
  if (!month || !scanner.Take('-')) return false;
  const auto day = scanner.Number(1, 2, 31);
  if (!day) return false;
  local.date = std::chrono::year{*year} / *month / *day;
  return local.date.ok();
}

// ".703018" as nanoseconds; digits behind the ninth are cut.
int64_t TakeFraction(Scanner& scanner) {
  constexpr size_t kDigits = 9;
  std::string digits(scanner.TakeWhile(IsDigit));
  digits.resize(kDigits, '0');
  return static_cast<int64_t>(ParseDecimal(digits).value_or(0));
}

bool TakeTimeOfDay(Scanner& scanner, LocalTime& local) {
  const auto hour = scanner.Number(1, 2, 23);
  if (!hour || !scanner.Take(':')) return false;
  const auto minute = scanner.Number(2, 2, 59);
  if (!minute) return false;
  int second = 0;
  if (scanner.Take(':')) {
    const auto written = scanner.Number(2, 2, 60);
    if (!written) return false;
    second = *written;
    if (scanner.Take('.')) local.nanoseconds = TakeFraction(scanner);
  }
  local.seconds = (*hour * 60 + *minute) * 60 + second;
  return true;
}

std::optional<WrittenTime> ParseWrittenTime(std::string_view text) {
  WrittenTime written;
  Scanner scanner(text);
  if (!TakeDate(scanner, written.local)) return std::nullopt;
  const bool has_separator = scanner.Take('T') || scanner.Take(' ');
  scanner.SkipBlanks();
  const bool has_time = has_separator && !scanner.done() && IsDigit(scanner.rest().front());
  if (has_time && !TakeTimeOfDay(scanner, written.local)) return std::nullopt;
  if (!has_separator && !scanner.done()) return std::nullopt;
  written.zone = TrimWhitespace(scanner.rest());
  return written;
}

// "+05:30", "-0330", "+2", "+01:02:03" as seconds east of Greenwich.
std::optional<int64_t> ParseOffset(std::string_view text) {
  Scanner scanner(text);
  const bool west = scanner.Take('-');
  if (!west && !scanner.Take('+')) return std::nullopt;
  const auto hours = scanner.Number(1, 2, 15);
  if (!hours) return std::nullopt;
  int64_t seconds = *hours * int64_t{3600};
  for (const int64_t unit : {60, 1}) {
    if (scanner.done()) break;
    scanner.Take(':');
    const auto part = scanner.Number(2, 2, 59);
    if (!part) return std::nullopt;
    seconds += *part * unit;
  }
  if (!scanner.done()) return std::nullopt;
  return west ? -seconds : seconds;
}

// Abbreviations that PostgreSQL takes for an offset, in summer too; the time zone database has summer time under the
// same names (src/timezone/tznames/Default).
std::optional<int64_t> OffsetOfAbbreviation(std::string_view zone) {
  constexpr std::array<std::pair<std::string_view, int64_t>, 4> kHours = {
      {{"WET", 0}, {"CET", 1}, {"MET", 1}, {"EET", 2}}};
  const auto* const found = std::ranges::find(kHours, zone, &std::pair<std::string_view, int64_t>::first);
  if (found == kHours.end()) return std::nullopt;
  return found->second * 3600;
}

bool IsGreenwich(std::string_view zone) {
  constexpr std::array<std::string_view, 5> kNames = {"Z", "z", "UTC", "utc", "GMT"};
  return std::ranges::find(kNames, zone) != kNames.end();
}

std::unexpected<Error> Usage(std::string message, std::string hint) {
  return Fail(Error(ErrorCode::kUsage, std::move(message)).WithHint(std::move(hint)));
}

std::unexpected<Error> NoMoment(std::string_view text) {
  return Usage(Quoted(text) + " is no moment",
               "write it like \"2026-11-20 21:05:39+00\", \"5min ago\", lsn:0/3000060, xid:1234, name:POINT or latest");
}

Result<Timestamp> Resolve(const WrittenTime& written, const std::string& default_zone, std::string_view text) {
  if (IsGreenwich(written.zone)) return written.local.AtOffset(0);
  if (const auto offset = ParseOffset(written.zone)) return written.local.AtOffset(*offset);
  if (const auto offset = OffsetOfAbbreviation(written.zone)) return written.local.AtOffset(*offset);
  const std::string zone = written.zone.empty() ? default_zone : std::string(written.zone);
  if (!written.zone.empty() && !IsKnownZone(zone)) return NoMoment(text);
  auto time = written.local.InZone(zone);
  if (time) return *time;
  return Usage(
      "the zone of " + Quoted(text) + " is that of the cluster, " + Quoted(zone) + ", which this machine lacks",
      "write the moment with a zone: \"" + std::string(text) + "+00\"");
}

Result<RecoveryTarget> ParseTime(std::string_view text, Timestamp now, const std::string& zone) {
  RecoveryTarget target{.kind = Kind::kTime, .time = {}, .lsn = {}, .point = {}};
  if (const auto relative = RelativePart(text)) {
    const auto duration = ParseDuration(*relative);
    if (!duration) return NoMoment(text);
    target.time.unix_ns = std::max<int64_t>(now.unix_ns - *duration, 0);
    return target;
  }
  const auto written = ParseWrittenTime(text);
  if (!written) return NoMoment(text);
  PGS_ASSIGN(target.time, Resolve(*written, zone, text));
  return target;
}

}  // namespace

Result<RecoveryTarget> ParseRecoveryTarget(std::string_view text, Timestamp now, const std::string& zone) {
  text = TrimWhitespace(text);
  const auto after = [&](std::string_view prefix) -> std::optional<std::string_view> {
    return text.starts_with(prefix) ? std::optional(text.substr(prefix.size())) : std::nullopt;
  };
  RecoveryTarget target;
  if (text == "latest") return target;
  if (const auto rest = after("lsn:")) {
    const auto lsn = Lsn::Parse(*rest);
    if (!lsn || !lsn->valid()) return NoMoment(text);
    target.kind = Kind::kLsn;
    target.lsn = *lsn;
    return target;
  }
  if (const auto rest = after("xid:")) {
    const auto xid = ParseDecimal(*rest);
    target.kind = Kind::kTransaction;
    target.xid = static_cast<uint32_t>(xid.value_or(0));  // the half above is the epoch
    if (target.xid == 0) return NoMoment(text);
    return target;
  }
  if (const auto rest = after("name:")) {
    target.kind = Kind::kRestorePoint;
    target.point = *rest;
    if (target.point.empty() || target.point.size() > kLongestRestorePoint) return NoMoment(text);
    return target;
  }
  return ParseTime(text, now, zone);
}

bool DependsOnNow(std::string_view text) { return RelativePart(text).has_value(); }

bool DependsOnZone(std::string_view text) {
  text = TrimWhitespace(text);
  const auto written = ParseWrittenTime(text);
  return written && written->zone.empty();
}

}  // namespace pgstrata::pgdata
