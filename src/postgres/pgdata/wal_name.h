// Names of files in pg_wal and in WAL archives (src/include/access/xlog_internal.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "foundation/base/types.h"

namespace pgstrata::pgdata {

// The size of a WAL segment: a power of two from 1 MiB to 1 GiB, 16 MiB unless initdb was told otherwise.
class WalSegmentSize {
 public:
  constexpr WalSegmentSize() = default;
  static std::optional<WalSegmentSize> FromBytes(uint64_t bytes);
  [[nodiscard]] uint64_t bytes() const { return bytes_; }
  auto operator<=>(const WalSegmentSize&) const = default;

 private:
  explicit constexpr WalSegmentSize(uint64_t bytes) : bytes_(bytes) {}
  uint64_t bytes_ = 16ULL << 20;
};

// One segment of one timeline. `number` counts segments from LSN 0.
struct WalSegment {
  TimelineId timeline;
  uint64_t number = 0;
  auto operator<=>(const WalSegment&) const = default;
};

// The number of the segment that holds the byte at `lsn`.
uint64_t SegmentNumber(Lsn lsn, WalSegmentSize size);
// The number of the segment that holds the byte before `lsn`: the last one needed to replay up to `lsn`.
uint64_t SegmentNumberBefore(Lsn lsn, WalSegmentSize size);
Lsn SegmentStart(uint64_t number, WalSegmentSize size);

// "000000010000000000000003".
std::string SegmentName(const WalSegment& segment, WalSegmentSize size);
// "00000002.history".
std::string HistoryName(TimelineId timeline);

enum class WalFileKind { kSegment, kPartialSegment, kHistory, kBackupHistory };

struct WalFileName {
  WalFileKind kind = WalFileKind::kSegment;
  TimelineId timeline;
  uint64_t segment = 0;  // 0 for kHistory
  uint64_t offset = 0;   // kBackupHistory: of the backup's start in the segment
};

// Nothing where `name` is no such name for this segment size (a number beyond the segments of 4 GiB, lower case
// digits).
std::optional<WalFileName> ParseWalFileName(std::string_view name, WalSegmentSize size);
// A whole segment's name only.
std::optional<WalSegment> ParseSegmentName(std::string_view name, WalSegmentSize size);
// Has the form of a segment's name (24 upper-case hexadecimal digits), whatever the segment size.
bool LooksLikeSegmentName(std::string_view name);

}  // namespace pgstrata::pgdata
