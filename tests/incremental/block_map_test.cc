#include "catalog/incremental/block_map.h"

#include <gtest/gtest.h>

#include <random>

namespace pgstrata::incremental {
namespace {

constexpr uint64_t kPage = 8192;

IncrementalHeader Header(uint32_t truncation_block_length, std::vector<uint32_t> blocks) {
  const uint64_t data_offset = blocks.empty() ? 0 : kPage;
  return {truncation_block_length, std::move(blocks), data_offset};
}

TEST(BlockMapTest, NeighboursInOneFileAreOneRun) {
  BlockMapBuilder builder(Header(10, {2, 3, 4, 8}), 1);
  builder.EndWithFull(0, 10 * kPage);
  const BlockMap map = std::move(builder).Build();
  EXPECT_EQ(map.length(), 10U);
  const auto full = map.Find(0);
  EXPECT_EQ(full.kind, BlockMap::Kind::kFull);
  EXPECT_EQ(full.blocks, 2U);
  const auto inside = map.Find(3);
  EXPECT_EQ(inside.kind, BlockMap::Kind::kIncremental);
  EXPECT_EQ(inside.backup, 1U);
  EXPECT_EQ(inside.offset, 2 * kPage);
  EXPECT_EQ(inside.blocks, 2U);
  EXPECT_EQ(map.Find(8).offset, 4 * kPage);
  EXPECT_EQ(map.Find(9).offset, 9 * kPage);
}

TEST(BlockMapTest, UnchangedFileTakesNoMemoryButItself) {
  BlockMapBuilder builder(Header(131'072, {}), 7);
  EXPECT_TRUE(builder.WantsOlder());
  builder.AddIncremental(Header(131'072, {}), 6);
  builder.EndWithFull(0, 131'072 * kPage);
  EXPECT_LE(std::move(builder).Build().Bytes(), 400U);
}

TEST(BlockMapTest, SegmentThatChangedEverywhereTakesTenBytesABlock) {
  std::vector<uint32_t> odd;
  std::vector<uint32_t> even;
  for (uint32_t i = 0; i < 131'072; ++i) (i % 2 == 0 ? even : odd).push_back(i);
  BlockMapBuilder builder(Header(131'072, odd), 7);
  for (uint16_t backup = 6; backup > 0; --backup) builder.AddIncremental(Header(131'072, even), backup);
  EXPECT_FALSE(builder.WantsOlder());
  EXPECT_LE(std::move(builder).Build().Bytes(), 131'072U * 10 + 1000);
}

TEST(BlockMapTest, NothingOlderIsWantedOnceAllIsFound) {
  BlockMapBuilder builder(Header(2, {0, 1, 5}), 3);
  EXPECT_FALSE(builder.WantsOlder());
  BlockMapBuilder empty(Header(0, {}), 3);
  EXPECT_FALSE(empty.WantsOlder());
  EXPECT_EQ(std::move(empty).Build().length(), 0U);
}

// The rule of the format, said without a map.
struct Model {
  struct Block {
    BlockMap::Kind kind = BlockMap::Kind::kZero;
    uint16_t backup = 0;
    uint64_t offset = 0;
  };
  std::vector<IncrementalHeader> headers;  // by backup; the oldest is the full file
  uint64_t full_blocks = 0;

  [[nodiscard]] Block At(uint32_t block) const {
    for (auto backup = static_cast<uint16_t>(headers.size()); backup-- > 1;) {
      const auto& header = headers[backup];
      for (size_t place = 0; place < header.blocks.size(); ++place) {
        if (header.blocks[place] != block) continue;
        return {BlockMap::Kind::kIncremental, backup, header.data_offset + place * kPage};
      }
      if (block >= headers.back().truncation_block_length) return {};
    }
    if (block < full_blocks) return {BlockMap::Kind::kFull, 0, block * kPage};
    return {};
  }
};

TEST(BlockMapTest, AgreesWithTheRuleOnRandomChains) {
  constexpr unsigned kSeed = 20261129;
  std::mt19937 random(kSeed);
  for (int round = 0; round < 300; ++round) {
    Model model;
    model.headers.resize(2 + random() % 5);
    model.full_blocks = random() % 40;
    for (size_t backup = 1; backup < model.headers.size(); ++backup) {
      std::vector<uint32_t> blocks;
      for (uint32_t block = 0; block < 40; ++block) {
        if (random() % 4 == 0) blocks.push_back(block);
      }
      model.headers[backup] = Header(random() % 40, std::move(blocks));
    }
    const auto newest = static_cast<uint16_t>(model.headers.size() - 1);
    BlockMapBuilder builder(model.headers[newest], newest);
    for (uint16_t backup = newest; backup-- > 1 && builder.WantsOlder();) {
      builder.AddIncremental(model.headers[backup], backup);
    }
    if (builder.WantsOlder()) builder.EndWithFull(0, model.full_blocks * kPage);
    const BlockMap map = std::move(builder).Build();
    ASSERT_EQ(map.length(), model.headers.back().BlockLength());
    for (uint32_t block = 0; block < map.length(); ++block) {
      const auto run = map.Find(block);
      ASSERT_GT(run.blocks, 0U);
      ASSERT_LE(block + run.blocks, map.length());
      for (uint32_t i = 0; i < run.blocks; ++i) {
        const auto expected = model.At(block + i);
        ASSERT_EQ(run.kind, expected.kind) << "round " << round << " block " << block + i << " seed " << kSeed;
        if (run.kind == BlockMap::Kind::kZero) continue;
        ASSERT_EQ(run.backup, expected.backup);
        ASSERT_EQ(run.offset + i * kPage, expected.offset);
      }
    }
  }
}

}  // namespace
}  // namespace pgstrata::incremental
