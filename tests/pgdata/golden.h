// Files cut from small clusters that each supported version of PostgreSQL made (tests/data/pgdata/VERSION): superuser
// "captain" renamed to "admiral", roles made and dropped, a database closed to connections, a subscription, and a piece
// of WAL (whole pages) with every kind of a transaction's end.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <ostream>
#include <string>

#include "postgres/pgdata/wal_reader.h"

namespace pgstrata::pgdata {

inline std::string ReadTestFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Golden {
  int version;
  uint32_t catalog_version;
  uint64_t wal_begin;  // LSN of the first byte of "wal"
  uint64_t first;      // where the first record of interest starts
  uint64_t end;        // behind the last one

  [[nodiscard]] std::string Read(const std::string& name) const {
    return ReadTestFile(std::filesystem::path(PGSTRATA_SOURCE_DIR) / "tests/data/pgdata" / std::to_string(version) /
                        name);
  }
};
inline void PrintTo(const Golden& golden, std::ostream* out) { *out << "PostgreSQL " << golden.version; }

inline constexpr Golden kGoldens[] = {
    {14, 202107181, 0xB12000, 0xB12A80, 0xB171A0}, {15, 202209061, 0xB18000, 0xB18898, 0xB1D2E8},
    {16, 202307071, 0xA14000, 0xA15E48, 0xA1A7F0}, {17, 202406281, 0xA14000, 0xA14420, 0xA19490},
    {18, 202506291, 0xB14000, 0xB15BA8, 0xB199D8},
};

inline WalSegmentSize OneMegabyteSegments() { return *WalSegmentSize::FromBytes(1 << 20); }

// WAL that is one string of bytes from `begin` on, on one timeline.
class BytesWalSource : public WalSource {
 public:
  BytesWalSource(uint64_t begin, std::string bytes, WalSegmentSize size, TimelineId timeline = {1})
      : begin_(begin), bytes_(std::move(bytes)), size_(size), timeline_(timeline) {}

  Result<size_t> Read(const WalSegment& segment, uint64_t offset, MutableBytes out) override {
    const uint64_t segment_start = SegmentStart(segment.number, size_).value;
    const uint64_t from = segment_start + offset;
    const uint64_t end = begin_ + bytes_.size();
    const bool holds = segment.timeline == timeline_ && from >= begin_ && segment_start < end;
    if (!holds) return Fail(ErrorCode::kNotFound, "no such segment");
    if (from >= end) return 0;
    const size_t length = std::min<uint64_t>({out.size(), end - from, segment_start + size_.bytes() - from});
    std::memcpy(out.data(), bytes_.data() + (from - begin_), length);
    return length;
  }

 private:
  uint64_t begin_;
  std::string bytes_;
  WalSegmentSize size_;
  TimelineId timeline_;
};

}  // namespace pgstrata::pgdata
