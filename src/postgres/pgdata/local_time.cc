#include "postgres/pgdata/local_time.h"

#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <ctime>

namespace pgstrata::pgdata {
namespace {

constexpr int64_t kNanosecondsPerSecond = 1'000'000'000;

// The C library knows zones by TZ alone.
class ZoneInForce {
 public:
  explicit ZoneInForce(const std::string& zone) {
    if (const char* before = std::getenv("TZ")) before_ = before;
    ::setenv("TZ", zone.c_str(), 1);
    ::tzset();
  }
  ~ZoneInForce() {
    if (before_) {
      ::setenv("TZ", before_->c_str(), 1);
    } else {
      ::unsetenv("TZ");
    }
    ::tzset();
  }
  ZoneInForce(const ZoneInForce&) = delete;
  ZoneInForce& operator=(const ZoneInForce&) = delete;

 private:
  std::optional<std::string> before_;
};

std::tm PartsOf(const LocalTime& local, int daylight_saving) {
  std::tm parts{};
  parts.tm_year = static_cast<int>(local.date.year()) - 1900;
  parts.tm_mon = static_cast<int>(static_cast<unsigned>(local.date.month())) - 1;
  parts.tm_mday = static_cast<int>(static_cast<unsigned>(local.date.day()));
  parts.tm_hour = static_cast<int>(local.seconds / 3600);
  parts.tm_min = static_cast<int>(local.seconds / 60 % 60);
  parts.tm_sec = static_cast<int>(local.seconds % 60);
  parts.tm_isdst = daylight_saving;
  return parts;
}

// Standard time first; daylight saving time where the zone has that then.
std::time_t SecondsHere(const LocalTime& local) {
  std::tm standard = PartsOf(local, 0);
  const std::time_t seconds = ::mktime(&standard);
  if (standard.tm_isdst == 0) return seconds;
  std::tm summer = PartsOf(local, 1);
  return ::mktime(&summer);
}

// "<+03>-03", "EST5EDT": a name of three letters or more, or one in angle brackets, then an offset.
bool LooksLikePosixZone(const std::string& zone) {
  const auto is_letter = [](char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; };
  const size_t name = zone.starts_with('<')
                          ? zone.find('>') + 1  // 0 where there is none
                          : static_cast<size_t>(std::ranges::find_if_not(zone, is_letter) - zone.begin());
  if (name < 3 || name >= zone.size()) return false;
  const size_t digit = zone[name] == '+' || zone[name] == '-' ? name + 1 : name;
  return digit < zone.size() && std::isdigit(static_cast<unsigned char>(zone[digit])) != 0;
}

}  // namespace

Timestamp LocalTime::AtOffset(int64_t offset) const {
  const int64_t day = std::chrono::sys_days(date).time_since_epoch().count();
  return {(day * 86'400 + seconds - offset) * kNanosecondsPerSecond + nanoseconds};
}

std::optional<Timestamp> LocalTime::InZone(const std::string& zone) const {
  if (zone.empty()) return Timestamp{SecondsHere(*this) * kNanosecondsPerSecond + nanoseconds};
  if (!IsKnownZone(zone) && !LooksLikePosixZone(zone)) return std::nullopt;
  const ZoneInForce in_force(zone);
  return Timestamp{SecondsHere(*this) * kNanosecondsPerSecond + nanoseconds};
}

bool IsKnownZone(const std::string& name) {
  const auto belongs = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '/' || c == '+' || c == '-';
  };
  if (name.empty() || name.starts_with('/') || !std::ranges::all_of(name, belongs)) return false;
  struct stat status{};
  return ::stat(("/usr/share/zoneinfo/" + name).c_str(), &status) == 0 && S_ISREG(status.st_mode);
}

}  // namespace pgstrata::pgdata
