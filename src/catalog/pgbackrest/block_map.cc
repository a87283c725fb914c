#include "catalog/pgbackrest/block_map.h"

#include <algorithm>
#include <limits>
#include <map>
#include <string>

namespace pgstrata::pgbackrest {
namespace {

constexpr uint64_t kLast = 1;
// Of a reference.
constexpr unsigned kReferenceShift = 3;
constexpr uint64_t kHasBundle = 2;  // when it is first met
constexpr uint64_t kHasOffset = 4;
constexpr uint64_t kContinues = 2;  // when it is met again: with the super block that it was in
constexpr uint64_t kContinuesLast = 4;
// Of a super block.
constexpr unsigned kSizeShift = 3;
constexpr uint64_t kSizeChanged = 2;
constexpr uint64_t kHasTotal = 4;
// Of the number of blocks, and of the unpacked size.
constexpr uint64_t kHasMore = 1;

constexpr uint64_t kLargestOffset = 1ULL << 50;
constexpr uint64_t kLargestSuperBlock = 1ULL << 31;

// Little-endian groups of seven bits. Like ByteReader: after a step that does not fit, ok() is false for good.
class VarintReader {
 public:
  explicit VarintReader(ByteView bytes) : bytes_(bytes) {}

  uint64_t Next() {
    constexpr unsigned kBits = 7;
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += kBits) {
      const auto byte = bytes_.Read<uint8_t>();
      const uint64_t group = byte & 0x7FU;
      if (shift == 63 && group > 1) break;
      value |= group << shift;
      if (!bytes_.ok() || (byte & 0x80U) == 0) return value;
    }
    fits_ = false;
    return 0;
  }
  ByteView Take(size_t count) { return bytes_.Take(count); }
  [[nodiscard]] bool ok() const { return fits_ && bytes_.ok(); }
  [[nodiscard]] size_t remaining() const { return bytes_.remaining(); }

 private:
  ByteReader bytes_;
  bool fits_ = true;
};

int64_t FromZigZag(uint64_t value) { return static_cast<int64_t>(value >> 1) ^ -static_cast<int64_t>(value & 1); }

// What is known of a backup that blocks are in, so that it need not be said again.
struct Known {
  SuperBlock super_block;   // the last one met there
  uint64_t next_block = 0;  // in it
  uint32_t index = 0;       // of it, in BlockMap::super_blocks
  bool has_super_block = false;
};

class MapReader {
 public:
  MapReader(ByteView bytes, uint64_t block_count, BlockMap& map, size_t labels)
      : bytes_(bytes), block_count_(block_count), map_(map), labels_(labels) {}

  Status Read() {
    if ((bytes_.Next() & 1) != 0) return Fail(ErrorCode::kUnsupported, "the block map is of a newer version");
    bool more = true;
    while (more) {
      const uint64_t reference = bytes_.Next();
      if (!ReadReference(reference)) return Fail(ErrorCode::kCorrupt, "the block map does not make sense");
      more = (reference & kLast) == 0;
    }
    if (map_.blocks.size() == block_count_ && bytes_.remaining() == 0) return {};
    return Fail(ErrorCode::kCorrupt, "the block map has " + std::to_string(map_.blocks.size()) + " blocks and " +
                                         std::to_string(bytes_.remaining()) + " bytes too many; the file has " +
                                         std::to_string(block_count_) + " blocks");
  }

 private:
  // All super blocks of one backup up to where another one follows.
  bool ReadReference(uint64_t reference) {
    const uint64_t holder = reference >> kReferenceShift;
    if (!bytes_.ok() || holder >= labels_) return false;
    const auto [known, is_first] = known_.try_emplace(holder);
    Known& there = known->second;
    bool continues = false;
    uint64_t offset = 0;  // of the next super block
    if (is_first) {
      there.super_block.holder = static_cast<uint32_t>(holder);
      there.super_block.size = map_.block_size;
      if ((reference & kHasBundle) != 0) there.super_block.bundle = bytes_.Next();
      if ((reference & kHasOffset) != 0) offset = bytes_.Next();
    } else if ((reference & kContinues) != 0) {
      continues = true;
    } else {
      offset = there.super_block.offset + there.super_block.stored_size;
      if ((reference & kHasOffset) != 0) offset += std::min(bytes_.Next(), kLargestOffset);
    }
    bool is_last = false;
    while (!is_last) {
      if (continues) {
        if (!there.has_super_block || !ReadBlocks(there, kHasTotal)) return false;
        is_last = (reference & kContinuesLast) != 0;
        last_size_ = there.super_block.stored_size;
      } else {
        const uint64_t encoded = bytes_.Next();
        if (!ReadSuperBlock(there, encoded, offset) || !ReadBlocks(there, encoded)) return false;
        is_last = (encoded & kLast) != 0;
      }
      continues = false;
      offset = there.super_block.offset + there.super_block.stored_size;
    }
    return true;
  }

  // Sizes after the first of the map are told by what they differ from the one before.
  bool ReadSuperBlock(Known& there, uint64_t encoded, uint64_t offset) {
    SuperBlock& block = there.super_block;
    const uint64_t size = encoded >> kSizeShift;
    const int64_t stored_size =
        last_size_ == 0 ? static_cast<int64_t>(size) : static_cast<int64_t>(last_size_) + FromZigZag(size);
    if ((encoded & kSizeChanged) != 0) {
      const uint64_t whole = bytes_.Next();
      block.size = std::min(whole >> 1, kLargestSuperBlock) * map_.block_size;
      if ((whole & kHasMore) != 0) block.size += std::min(bytes_.Next(), kLargestSuperBlock);
    }
    if (!bytes_.ok() || stored_size <= 0 || stored_size > static_cast<int64_t>(kLargestSuperBlock)) return false;
    if (offset > kLargestOffset || block.size == 0 || block.size > kLargestSuperBlock) return false;
    block.offset = offset;
    block.stored_size = static_cast<uint64_t>(stored_size);
    last_size_ = block.stored_size;
    there.next_block = 0;
    there.index = static_cast<uint32_t>(map_.super_blocks.size());
    there.has_super_block = true;
    map_.super_blocks.push_back(block);
    return true;
  }

  bool ReadBlocks(Known& there, uint64_t encoded) {
    const uint64_t in_super_block = (there.super_block.size + map_.block_size - 1) / map_.block_size;
    uint64_t count = in_super_block;
    if ((encoded & kHasTotal) != 0) {
      const uint64_t total = bytes_.Next();
      count = (total >> 1) + 1;
      if ((total & kHasMore) != 0) there.next_block += std::min(bytes_.Next(), kLargestSuperBlock);
    }
    if (!bytes_.ok() || there.next_block > in_super_block || count > in_super_block - there.next_block) return false;
    if (count > block_count_ - map_.blocks.size()) return false;
    const ByteView checksums = bytes_.Take(static_cast<size_t>(count) * map_.checksum_size);
    if (!bytes_.ok()) return false;
    map_.checksums.insert(map_.checksums.end(), checksums.begin(), checksums.end());
    for (uint64_t i = 0; i < count; ++i) {
      map_.blocks.push_back({.super_block = there.index, .number = static_cast<uint32_t>(there.next_block + i)});
    }
    there.next_block += count;
    return true;
  }

  VarintReader bytes_;
  const uint64_t block_count_;
  BlockMap& map_;
  const size_t labels_;
  std::map<uint64_t, Known> known_;
  uint64_t last_size_ = 0;
};

}  // namespace

Result<BlockMap> ParseBlockMap(ByteView bytes, uint64_t file_size, uint64_t block_size, uint32_t checksum_size,
                               size_t labels) {
  BlockMap map{
      .block_size = block_size, .checksum_size = checksum_size, .super_blocks = {}, .blocks = {}, .checksums = {}};
  const uint64_t block_count = (file_size - 1) / block_size + 1;
  // Each block has a checksum in the map: no count that a short map could not hold is believed.
  if (block_count > bytes.size() / checksum_size) {
    return Fail(ErrorCode::kCorrupt, "the block map is too short for " + std::to_string(block_count) + " blocks");
  }
  map.blocks.reserve(block_count);
  map.checksums.reserve(block_count * checksum_size);
  PGS_TRY(MapReader(bytes, block_count, map, labels).Read());
  return map;
}

}  // namespace pgstrata::pgbackrest
