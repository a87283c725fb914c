// docs/format/incremental.md, "INCREMENTAL.NAME".
#include "catalog/incremental/incremental_file.h"

#include <gtest/gtest.h>

#include "backup/image/buffer_file.h"
#include "tests/incremental/chain_fixture.h"

namespace pgstrata::incremental {
namespace {

std::string WithNumber(std::string bytes, size_t offset, uint32_t value) {
  std::memcpy(bytes.data() + offset, &value, sizeof value);
  return bytes;
}

std::string Problem(const std::string& bytes) {
  const auto header = ParseIncrementalHeader(AsBytes(bytes));
  if (header) return "none";
  EXPECT_EQ(header.error().code(), ErrorCode::kCorrupt);
  return header.error().message();
}

TEST(IncrementalFileTest, WithoutBlocksIsTwelveBytes) {
  const std::string bytes = IncrementalBytes(17, {});
  ASSERT_EQ(bytes.size(), 12U);
  const auto header = ParseIncrementalHeader(AsBytes(bytes));
  ASSERT_TRUE(header.has_value()) << header.error().message();
  EXPECT_EQ(header->truncation_block_length, 17U);
  EXPECT_TRUE(header->blocks.empty());
  EXPECT_EQ(header->BlockLength(), 17U);
}

TEST(IncrementalFileTest, BlocksBeginAtAWholePage) {
  const auto few = ParseIncrementalHeader(AsBytes(IncrementalBytes(3, {{1, 'a'}, {7, 'b'}})));
  EXPECT_EQ(few->data_offset, 8192U);
  EXPECT_EQ(few->BlockLength(), 8U);
  std::vector<NumberedBlock> many;
  for (uint32_t i = 0; i < 2045; ++i) many.push_back({i, 'x'});
  EXPECT_EQ(ParseIncrementalHeader(AsBytes(IncrementalBytes(1, many)))->data_offset, 8192U);  // full to the last byte
  many.push_back({2045, 'x'});
  EXPECT_EQ(ParseIncrementalHeader(AsBytes(IncrementalBytes(1, many)))->data_offset, 16384U);
}

TEST(IncrementalFileTest, LimitBeyondTheSegmentMeansTheSegment) {
  const auto header = ParseIncrementalHeader(AsBytes(IncrementalBytes(4'000'000, {})));
  EXPECT_EQ(header->truncation_block_length, kBlocksPerSegment);
}

TEST(IncrementalFileTest, WhatCannotBeIsCorrupt) {
  const std::string sound = IncrementalBytes(9, {{1, 'a'}, {2, 'b'}, {5, 'c'}});
  EXPECT_EQ(Problem(sound), "none");
  EXPECT_EQ(Problem(""), "it is shorter than the header of an incremental file");
  EXPECT_EQ(Problem(sound.substr(0, 11)), "it is shorter than the header of an incremental file");
  EXPECT_EQ(Problem(sound.substr(0, 23)), "it ends inside of its header");
  EXPECT_EQ(Problem(WithNumber(sound, 0, 0xD3AE1F0E)), "its magic number is D3AE1F0E, not D3AE1F0D");
  EXPECT_EQ(Problem(WithNumber(sound, 4, 131'073)), "it claims 131073 blocks, more than a segment has");
  EXPECT_EQ(Problem(WithNumber(sound, 4, 0xFFFFFFFF)), "it claims 4294967295 blocks, more than a segment has");
  EXPECT_EQ(Problem(WithNumber(sound, 20, 131'072)), "it claims block 131072, which no segment has");
  EXPECT_EQ(Problem(WithNumber(sound, 16, 1)), "its block numbers do not ascend");
  EXPECT_EQ(Problem(WithNumber(sound, 16, 6)), "its block numbers do not ascend");
}

TEST(IncrementalFileTest, HeaderAndLengthAreReadWithoutTheBlocks) {
  std::vector<NumberedBlock> many;
  for (uint32_t i = 0; i < 3000; ++i) many.push_back({i * 2, 'x'});
  for (const auto& blocks : {std::vector<NumberedBlock>{}, {{41, 'a'}}, many}) {
    const std::string bytes = IncrementalBytes(40, blocks);
    const auto file = image::MakeBufferView(AsBytes(bytes));
    const auto header = ReadIncrementalHeader(*file);
    ASSERT_TRUE(header.has_value()) << header.error().message();
    EXPECT_EQ(header->blocks.size(), blocks.size());
    const auto length = ReadBlockLength(*file);
    ASSERT_TRUE(length.has_value()) << length.error().message();
    EXPECT_EQ(*length, header->BlockLength());
  }
  const std::string cut = IncrementalBytes(40, many).substr(0, 9000);
  EXPECT_FALSE(ReadIncrementalHeader(*image::MakeBufferView(AsBytes(cut))).has_value());
  EXPECT_FALSE(ReadBlockLength(*image::MakeBufferView(AsBytes(cut))).has_value());
}

}  // namespace
}  // namespace pgstrata::incremental
