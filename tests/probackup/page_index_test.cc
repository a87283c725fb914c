#include "catalog/probackup/page_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "postgres/pgdata/crc32c.h"

namespace pgstrata::probackup {
namespace {

using ::testing::HasSubstr;

// A stream made record by record, and what its header map would say.
class StreamBuilder {
 public:
  void Add(uint32_t block, int32_t size, bool padded = false) {
    AddEntry(block, static_cast<uint16_t>(block + 1));
    Append(stream_, &block, sizeof block);
    Append(stream_, &size, sizeof size);
    if (size <= 0) return;
    stream_.append(static_cast<size_t>(size), static_cast<char>('a' + block % 26));
    if (padded) stream_.resize((stream_.size() + 7) / 8 * 8);
  }
  [[nodiscard]] const std::string& stream() const { return stream_; }
  std::string Entries() {
    AddEntry(0, 0);
    return entries_;
  }
  static Result<PageIndex> Walk(const std::string& stream, bool padded = false) {
    return PageIndex::FromStream(
        {.size = stream.size(), .padded = padded, .read = [&stream](uint64_t offset, MutableBytes out) -> Status {
           if (offset + out.size() > stream.size()) return Fail(ErrorCode::kInternal, "beyond");
           std::memcpy(out.data(), stream.data() + offset, out.size());
           return {};
         }});
  }

 private:
  static void Append(std::string& to, const void* value, size_t size) {
    to.append(static_cast<const char*>(value), size);
  }
  void AddEntry(uint32_t block, uint16_t checksum) {
    const uint64_t lsn = 1;
    const auto position = static_cast<int32_t>(stream_.size());
    Append(entries_, &lsn, sizeof lsn);
    Append(entries_, &block, sizeof block);
    Append(entries_, &position, sizeof position);
    Append(entries_, &checksum, sizeof checksum);
    entries_.append(6, '\0');
  }
  std::string stream_;
  std::string entries_;
};

TEST(PageIndex, HeaderMapAndStreamSayTheSame) {
  std::mt19937 random(11);
  StreamBuilder builder;
  std::vector<std::pair<uint32_t, uint32_t>> pages;
  for (uint32_t block = 0; block < 3000; block += 1 + random() % 3) {
    const uint32_t size = random() % 10 == 0 ? 8192 : 1 + random() % 8191;
    pages.emplace_back(block, size);
    builder.Add(block, static_cast<int32_t>(size));
  }
  const auto from_map = PageIndex::FromHeaderMap(AsBytes(builder.Entries()), builder.stream().size());
  const auto from_stream = StreamBuilder::Walk(builder.stream());
  ASSERT_TRUE(from_map.has_value()) << from_map.error().message();
  ASSERT_TRUE(from_stream.has_value()) << from_stream.error().message();
  EXPECT_EQ(from_map->end(), pages.back().first + 1);
  EXPECT_EQ(from_stream->pages(), pages.size());
  ASSERT_TRUE(from_stream->stream_crc().has_value());
  EXPECT_EQ(from_stream->stream_crc()->all, pgdata::Crc32c(AsBytes(builder.stream())));
  uint64_t offset = 0;
  uint32_t next = 0;
  for (const auto& [block, size] : pages) {
    for (; next < block; ++next) EXPECT_FALSE(from_map->Has(next));
    next = block + 1;
    for (const auto* index : {&*from_map, &*from_stream}) {
      ASSERT_TRUE(index->Has(block));
      EXPECT_EQ(index->PlaceOf(block).offset, offset);
      EXPECT_EQ(index->PlaceOf(block).size, size);
    }
    EXPECT_EQ(from_map->PlaceOf(block).checksum, static_cast<uint16_t>(block + 1));
    EXPECT_FALSE(from_stream->PlaceOf(block).checksum.has_value());
    offset += 8 + size;
  }
  EXPECT_FALSE(from_map->Has(next));
  EXPECT_FALSE(from_map->Has(0xFFFFFFFF));
}

TEST(PageIndex, OfAWholeSegmentTakesFiveBytesAPage) {
  StreamBuilder builder;
  for (uint32_t block = 0; block < kBlocksOfSegment; ++block) builder.Add(block, 100);
  const auto index = PageIndex::FromHeaderMap(AsBytes(builder.Entries()), builder.stream().size());
  ASSERT_TRUE(index.has_value());
  EXPECT_EQ(index->PlaceOf(kBlocksOfSegment - 1).offset, uint64_t{kBlocksOfSegment - 1} * 108);
  EXPECT_LT(index->memory_bytes(), uint64_t{kBlocksOfSegment} * 5);
}

TEST(PageIndex, OldStreamsArePaddedAndMayCutTheFile) {
  StreamBuilder builder;
  builder.Add(1, 5, true);
  builder.Add(2, 8, true);
  builder.Add(7, 8192, true);
  builder.Add(9, -2);
  const auto index = StreamBuilder::Walk(builder.stream(), true);
  ASSERT_TRUE(index.has_value()) << index.error().message();
  EXPECT_EQ(index->PlaceOf(2).offset, 16U);
  EXPECT_EQ(index->PlaceOf(2).size, 8U);
  EXPECT_EQ(index->PlaceOf(7).offset, 32U);
  EXPECT_EQ(index->cut_to(), 9U);
  EXPECT_EQ(index->end(), 8U);
}

TEST(PageIndex, HolesThatAnOldMergeLeftArePassedOver) {
  StreamBuilder builder;
  builder.Add(0, 8192, true);
  std::string stream = builder.stream();
  stream.append(8200, '\0');
  StreamBuilder after;
  after.Add(2, 8192, true);
  after.Add(3, 16, true);
  stream += after.stream();
  const auto index = StreamBuilder::Walk(stream, true);
  ASSERT_TRUE(index.has_value()) << index.error().message();
  EXPECT_EQ(index->PlaceOf(0).offset, 0U);
  EXPECT_FALSE(index->Has(1));
  EXPECT_EQ(index->PlaceOf(2).offset, 16400U);
  EXPECT_EQ(index->PlaceOf(3).offset, 24600U);
}

TEST(PageIndex, WhatCannotBeIsCorrupt) {
  const auto walk = [](auto... records) {
    StreamBuilder builder;
    (builder.Add(records.first, records.second), ...);
    const auto index = StreamBuilder::Walk(builder.stream());
    return index ? std::string("no error") : index.error().message();
  };
  using Record = std::pair<uint32_t, int32_t>;
  EXPECT_EQ(walk(Record{0, 100}, Record{1, 8192}), "no error");
  EXPECT_THAT(walk(Record{1, 100}, Record{0, 100}), HasSubstr("record at byte 108 (block 0, 100 bytes) cannot be"));
  EXPECT_THAT(walk(Record{1, 100}, Record{1, 100}), HasSubstr("cannot be"));
  EXPECT_THAT(walk(Record{1, 8193}), HasSubstr("cannot be"));
  EXPECT_THAT(walk(Record{1, 0}), HasSubstr("cannot be"));
  EXPECT_THAT(walk(Record{0, 0}), HasSubstr("cannot be"));
  EXPECT_THAT(walk(Record{1, -7}), HasSubstr("cannot be"));
  EXPECT_THAT(walk(Record{kBlocksOfSegment, 10}), HasSubstr("cannot be"));
  EXPECT_THAT(walk(Record{kBlocksOfSegment + 1, -2}), HasSubstr("beyond a segment"));

  StreamBuilder builder;
  builder.Add(0, 100);
  const std::string& stream = builder.stream();
  for (size_t length = 1; length < stream.size(); ++length) {
    EXPECT_FALSE(StreamBuilder::Walk(stream.substr(0, length)).has_value()) << length;
  }
  const std::string entries = builder.Entries();
  EXPECT_TRUE(PageIndex::FromHeaderMap(AsBytes(entries), 108).has_value());
  EXPECT_FALSE(PageIndex::FromHeaderMap(AsBytes(entries), 109).has_value());
  for (size_t length = 0; length < entries.size(); ++length) {
    EXPECT_FALSE(PageIndex::FromHeaderMap(AsBytes(entries.substr(0, length)), 108).has_value()) << length;
  }
}

}  // namespace
}  // namespace pgstrata::probackup
