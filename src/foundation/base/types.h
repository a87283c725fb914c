// PostgreSQL's numbers as types that cannot be mixed, with their text forms.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pgstrata {

// A position in the WAL, in bytes from its beginning. 0 is "invalid", as in PostgreSQL.
struct Lsn {
  uint64_t value = 0;
  auto operator<=>(const Lsn&) const = default;
  [[nodiscard]] bool valid() const { return value != 0; }
  // "16/B374D848".
  [[nodiscard]] std::string ToString() const;
  static std::optional<Lsn> Parse(std::string_view text);
};

struct TimelineId {
  uint32_t value = 0;
  auto operator<=>(const TimelineId&) const = default;
};

struct Oid {
  uint32_t value = 0;
  auto operator<=>(const Oid&) const = default;
};

// An 8 KiB page of a relation fork, counted from the fork's start.
struct BlockNumber {
  uint32_t value = 0;
  auto operator<=>(const BlockNumber&) const = default;
};

// Nanoseconds since 1970-01-01 00:00:00 UTC.
struct Timestamp {
  int64_t unix_ns = 0;
  auto operator<=>(const Timestamp&) const = default;
  // "2026-11-20 21:05:39+00".
  [[nodiscard]] std::string ToString() const;
};

}  // namespace pgstrata
