// docs/format/pgbackrest.md, "Block maps".
#include "catalog/pgbackrest/block_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace pgstrata::pgbackrest {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr uint64_t kBlock = 8192;

// The bytes of a map, written as they are read.
class MapBytes {
 public:
  MapBytes& Number(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>((value & 0x7F) | 0x80);
    bytes_ += static_cast<char>(value);
    return *this;
  }
  MapBytes& Checksums(const std::string& letters) {
    for (const char letter : letters) bytes_ += std::string(6, letter);
    return *this;
  }
  [[nodiscard]] Result<BlockMap> Parse(uint64_t blocks, size_t labels = 4) const {
    return ParseBlockMap(AsBytes(bytes_), blocks * kBlock, kBlock, 6, labels);
  }
  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

std::vector<std::pair<uint32_t, uint32_t>> PlacesOf(const BlockMap& map) {
  std::vector<std::pair<uint32_t, uint32_t>> places;
  for (const auto& block : map.blocks) places.emplace_back(block.super_block, block.number);
  return places;
}

// Two super blocks of two blocks in bundle 3 of backup 1, the second unpacked to one and a half blocks.
MapBytes Simple() {
  MapBytes bytes;
  bytes.Number(0);  // version
  bytes.Number(1 << 3 | 4 | 2 | 1).Number(3).Number(1000);
  bytes.Number(500 << 3 | 2).Number(2 << 1).Checksums("ab");
  bytes.Number(39 << 3 | 2 | 1).Number(1 << 1 | 1).Number(4096).Checksums("cd");  // 500 - 20
  return bytes;
}

TEST(BlockMapTest, SuperBlocksFollowEachOther) {
  const auto map = Simple().Parse(4);
  ASSERT_TRUE(map.has_value()) << map.error().message();
  EXPECT_THAT(
      map->super_blocks,
      ElementsAre(SuperBlock{.bundle = 3, .offset = 1000, .stored_size = 500, .size = 2 * kBlock, .holder = 1},
                  SuperBlock{.bundle = 3, .offset = 1500, .stored_size = 480, .size = kBlock + 4096, .holder = 1}));
  using Place = std::pair<uint32_t, uint32_t>;
  EXPECT_THAT(PlacesOf(*map), ElementsAre(Place{0, 0}, Place{0, 1}, Place{1, 0}, Place{1, 1}));
  EXPECT_EQ(AsText(map->ChecksumOf(2)), "cccccc");
}

// A super block of backup 0 that backup 1 has split: its first and last blocks are used still.
TEST(BlockMapTest, ASplitSuperBlockIsContinued) {
  MapBytes bytes;
  bytes.Number(0);
  bytes.Number(0 << 3);                                                        // backup 0, from byte 0 of its own file
  bytes.Number(900 << 3 | 4 | 2 | 1).Number(4 << 1).Number(0).Checksums("a");  // 4 blocks, 1 of them here
  bytes.Number(1 << 3);                                                        // backup 1
  bytes.Number(1199 << 3 | 1).Checksums("b");                                  // 900 - 600, one block
  bytes.Number(0 << 3 | 2 | 4 | 1);                    // on with backup 0, the last super block there
  bytes.Number(1 << 1 | 1).Number(1).Checksums("cd");  // two blocks, one left out before them
  const auto map = bytes.Parse(4);
  ASSERT_TRUE(map.has_value()) << map.error().message();
  using Place = std::pair<uint32_t, uint32_t>;
  EXPECT_THAT(PlacesOf(*map), ElementsAre(Place{0, 0}, Place{1, 0}, Place{0, 2}, Place{0, 3}));
  EXPECT_EQ(map->super_blocks[1].stored_size, 300U);
  EXPECT_EQ(map->super_blocks[1].holder, 1U);
}

TEST(BlockMapTest, ABackupThatIsMetAgainGoesOnBehindItsLastSuperBlock) {
  MapBytes bytes;
  bytes.Number(0);
  bytes.Number(0 << 3 | 4).Number(50).Number(100 << 3 | 1).Checksums("a");
  bytes.Number(1 << 3).Number(0 << 3 | 1).Checksums("b");                    // as large
  bytes.Number(0 << 3 | 4 | 1).Number(7).Number(0 << 3 | 1).Checksums("c");  // a gap of 7
  const auto map = bytes.Parse(3);
  ASSERT_TRUE(map.has_value()) << map.error().message();
  EXPECT_EQ(map->super_blocks[2].offset, 157U);
}

TEST(BlockMapTest, EveryCutIsCorrupt) {
  const std::string bytes = Simple().bytes();
  for (size_t length = 0; length < bytes.size(); ++length) {
    const auto map = ParseBlockMap(AsBytes(bytes).first(length), 4 * kBlock, kBlock, 6, 4);
    ASSERT_FALSE(map.has_value()) << length;
    EXPECT_EQ(map.error().code(), ErrorCode::kCorrupt);
  }
  EXPECT_FALSE(ParseBlockMap(AsBytes(bytes + 'x'), 4 * kBlock, kBlock, 6, 4).has_value());
}

TEST(BlockMapTest, WhatCannotBeIsCorrupt) {
  EXPECT_FALSE(Simple().Parse(3).has_value());
  EXPECT_FALSE(Simple().Parse(5).has_value());
  EXPECT_FALSE(Simple().Parse(4, 1).has_value());  // there is no backup 1
  const auto newer = MapBytes().Number(1).Checksums("a").Parse(1);
  EXPECT_EQ(newer.error().code(), ErrorCode::kUnsupported);
  // Continues what never began.
  EXPECT_FALSE(
      MapBytes().Number(0).Number(0).Number(8 | 1).Checksums("a").Number(8 | 2 | 1).Number(0).Checksums("b").Parse(2));
  // A size below zero, and more blocks than the super block has.
  EXPECT_FALSE(MapBytes().Number(0).Number(1).Number(8).Checksums("a").Number(5 << 3 | 1).Checksums("b").Parse(2));
  EXPECT_FALSE(MapBytes().Number(0).Number(1).Number(8 | 4 | 1).Number(1 << 1).Checksums("ab").Parse(2));
}

}  // namespace
}  // namespace pgstrata::pgbackrest
