#include "foundation/base/types.h"

#include <fmt/format.h>

#include <charconv>
#include <ctime>

namespace pgstrata {
namespace {

std::optional<uint32_t> ParseHex32(std::string_view text) {
  if (text.empty() || text.size() > 8) return std::nullopt;
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::string Lsn::ToString() const { return fmt::format("{:X}/{:X}", value >> 32, value & 0xFFFFFFFFU); }

std::optional<Lsn> Lsn::Parse(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto high = ParseHex32(text.substr(0, slash));
  const auto low = ParseHex32(text.substr(slash + 1));
  if (!high || !low) return std::nullopt;
  return Lsn{(static_cast<uint64_t>(*high) << 32) | *low};
}

std::string Timestamp::ToString() const {
  constexpr int64_t kNanosecondsPerSecond = 1'000'000'000;
  const std::time_t seconds = static_cast<std::time_t>(unix_ns / kNanosecondsPerSecond);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}+00", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                     parts.tm_hour, parts.tm_min, parts.tm_sec);
}

}  // namespace pgstrata
