#include "postgres/pgdata/page.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace pgstrata::pgdata {
namespace {

constexpr size_t kChecksumOffset = 8;
constexpr uint16_t kValidFlags = 0x0007;
constexpr uint16_t kMaxAlign = 8;

// The checksum is an FNV-1a over 32 lanes of 32-bit words, so that a compiler can vectorise it.
constexpr size_t kLanes = 32;
using Lanes = std::array<uint32_t, kLanes>;
constexpr Lanes kLaneSeeds = {0x5B1F36E9, 0xB8525960, 0x02AB50AA, 0x1DE66D2A, 0x79FF467A, 0x9BB9F8A3, 0x217E7CD2,
                              0x83E13D2C, 0xF8D4474F, 0xE39EB970, 0x42C6AE16, 0x993216FA, 0x7B093B5D, 0x98DAFF3C,
                              0xF718902A, 0x0B1C9CDB, 0xE58F764B, 0x187636BC, 0x5D7B3BB1, 0xE73DE7DE, 0x92BEC979,
                              0xCCA6C0B2, 0x304A0979, 0x85AA43D4, 0x783125BB, 0x6CA8EAA2, 0xE407EAC6, 0x4B5CFC3E,
                              0x9FBF8C76, 0x15CA20BE, 0xF2CA9FD3, 0x959BD756};

uint32_t MixLane(uint32_t lane, uint32_t value) {
  constexpr uint32_t kFnvPrime = 16777619;
  const uint32_t mixed = lane ^ value;
  return (mixed * kFnvPrime) ^ (mixed >> 17);
}

}  // namespace

bool IsNew(ByteView page) {
  return std::ranges::all_of(page, [](std::byte byte) { return byte == std::byte{0}; });
}

Result<PageHeader> ParsePageHeader(ByteView page) {
  if (page.size() != kPageSize) return Fail(ErrorCode::kCorrupt, fmt::format("a page of {} bytes", page.size()));
  const uint16_t size_and_version = LoadLe<uint16_t>(page, 18);
  const PageHeader header{
      .lsn = {(static_cast<uint64_t>(LoadLe<uint32_t>(page, 0)) << 32) | LoadLe<uint32_t>(page, 4)},
      .checksum = LoadLe<uint16_t>(page, kChecksumOffset),
      .flags = LoadLe<uint16_t>(page, 10),
      .lower = LoadLe<uint16_t>(page, 12),
      .upper = LoadLe<uint16_t>(page, 14),
      .special = LoadLe<uint16_t>(page, 16),
      .size = static_cast<uint16_t>(size_and_version & 0xFF00U),
      .layout_version = static_cast<uint8_t>(size_and_version & 0xFFU),
  };
  const bool sound = (header.flags & ~kValidFlags) == 0 && header.lower >= kPageHeaderSize &&
                     header.lower <= header.upper && header.upper <= header.special && header.special <= kPageSize &&
                     header.special % kMaxAlign == 0 && header.size == kPageSize;
  if (!sound) return Fail(ErrorCode::kCorrupt, "the header of a page is damaged");
  return header;
}

uint16_t PageChecksum(ByteView page, BlockNumber block) {
  constexpr size_t kRowSize = kLanes * sizeof(uint32_t);
  Lanes lanes = kLaneSeeds;
  for (size_t row = 0; row < kPageSize; row += kRowSize) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const size_t position = row + lane * sizeof(uint32_t);
      uint32_t value = LoadLe<uint32_t>(page, position);
      if (position == kChecksumOffset) value &= 0xFFFF0000U;  // pd_checksum counts as zero
      lanes[lane] = MixLane(lanes[lane], value);
    }
  }
  for (int round = 0; round < 2; ++round) {
    for (uint32_t& lane : lanes) lane = MixLane(lane, 0);
  }
  uint32_t sum = block.value;
  for (const uint32_t lane : lanes) sum ^= lane;
  return static_cast<uint16_t>(sum % 65535 + 1);
}

Status VerifyPage(ByteView page, BlockNumber block, bool checksums) {
  if (page.size() == kPageSize && IsNew(page)) return {};
  PGS_ASSIGN(const PageHeader header, ParsePageHeader(page));
  if (!checksums) return {};
  const uint16_t expected = PageChecksum(page, block);
  if (header.checksum == expected) return {};
  return Fail(ErrorCode::kCorrupt,
              fmt::format("the checksum of block {} is {}, and should be {}", block.value, header.checksum, expected));
}

}  // namespace pgstrata::pgdata
