// A segment's name is three groups of eight hexadecimal digits: the timeline, the high half of the LSN at which the
// segment begins, and which segment of those 4 GiB it is.
#include "postgres/pgdata/wal_name.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "foundation/base/text.h"

namespace pgstrata::pgdata {
namespace {

constexpr uint64_t kSmallestSegment = 1ULL << 20;
constexpr uint64_t kLargestSegment = 1ULL << 30;
constexpr size_t kSegmentNameLength = 24;
constexpr size_t kTimelineLength = 8;

uint64_t SegmentsPer4Gib(WalSegmentSize size) { return (1ULL << 32) / size.bytes(); }

bool IsUpperHex(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'); });
}

// Exactly eight upper-case digits.
std::optional<uint32_t> ParseGroup(std::string_view text) {
  if (text.size() != 8 || !IsUpperHex(text)) return std::nullopt;
  return static_cast<uint32_t>(*ParseHex(text));
}

}  // namespace

std::optional<WalSegmentSize> WalSegmentSize::FromBytes(uint64_t bytes) {
  if (!std::has_single_bit(bytes) || bytes < kSmallestSegment || bytes > kLargestSegment) return std::nullopt;
  return WalSegmentSize(bytes);
}

uint64_t SegmentNumber(Lsn lsn, WalSegmentSize size) { return lsn.value / size.bytes(); }

uint64_t SegmentNumberBefore(Lsn lsn, WalSegmentSize size) {
  return lsn.value == 0 ? 0 : (lsn.value - 1) / size.bytes();
}

Lsn SegmentStart(uint64_t number, WalSegmentSize size) { return {number * size.bytes()}; }

std::string SegmentName(const WalSegment& segment, WalSegmentSize size) {
  const uint64_t per_group = SegmentsPer4Gib(size);
  return fmt::format("{:08X}{:08X}{:08X}", segment.timeline.value, segment.number / per_group,
                     segment.number % per_group);
}

std::string HistoryName(TimelineId timeline) { return fmt::format("{:08X}.history", timeline.value); }

std::optional<WalSegment> ParseSegmentName(std::string_view name, WalSegmentSize size) {
  if (name.size() != kSegmentNameLength) return std::nullopt;
  const auto timeline = ParseGroup(name.substr(0, 8));
  const auto high = ParseGroup(name.substr(8, 8));
  const auto low = ParseGroup(name.substr(16, 8));
  if (!timeline || *timeline == 0 || !high || !low || *low >= SegmentsPer4Gib(size)) return std::nullopt;
  return WalSegment{{*timeline}, *high * SegmentsPer4Gib(size) + *low};
}

bool LooksLikeSegmentName(std::string_view name) { return name.size() == kSegmentNameLength && IsUpperHex(name); }

std::optional<WalFileName> ParseWalFileName(std::string_view name, WalSegmentSize size) {
  const auto timeline = ParseGroup(name.substr(0, kTimelineLength));
  if (!timeline || *timeline == 0) return std::nullopt;
  if (name.substr(kTimelineLength) == ".history") return WalFileName{WalFileKind::kHistory, {*timeline}, 0, 0};

  const auto segment = ParseSegmentName(name.substr(0, kSegmentNameLength), size);
  if (!segment) return std::nullopt;
  WalFileName parsed{WalFileKind::kSegment, segment->timeline, segment->number, 0};
  const std::string_view suffix = name.substr(kSegmentNameLength);
  if (suffix.empty()) return parsed;
  if (suffix == ".partial") {
    parsed.kind = WalFileKind::kPartialSegment;
    return parsed;
  }
  constexpr size_t kBackupSuffixLength = 1 + 8 + 7;  // ".00000028.backup"
  if (suffix.size() != kBackupSuffixLength || suffix[0] != '.' || !suffix.ends_with(".backup")) return std::nullopt;
  const auto offset = ParseGroup(suffix.substr(1, 8));
  if (!offset || *offset >= size.bytes()) return std::nullopt;
  parsed.kind = WalFileKind::kBackupHistory;
  parsed.offset = *offset;
  return parsed;
}

}  // namespace pgstrata::pgdata
