#include "foundation/codec/decompress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "tests/support/compress.h"

namespace pgstrata::codec {
namespace {

using ::testing::HasSubstr;

struct Format {
  Compression compression;
  const char* tool;
  const char* suffix;
};

// Half of it compresses, half does not.
std::string Sample(size_t size) {
  std::mt19937 random(7);
  std::string text(size, 'x');
  for (size_t i = 0; i < size / 2; ++i) text[i] = static_cast<char>(random());
  return text;
}

class DecompressTest : public ::testing::TestWithParam<Format> {
 protected:
  static constexpr uint64_t kLimit = 64ULL << 20;

  static std::string Packed(const std::string& content) { return test::Compressed(GetParam().tool, content); }
  static Result<std::string> Unpack(const std::string& packed, uint64_t limit = kLimit) {
    PGS_ASSIGN(const auto bytes, Decompress(GetParam().compression, AsBytes(packed), limit));
    return std::string(AsText(bytes));
  }
};

TEST_P(DecompressTest, GivesBackWhatTheToolPacked) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{100'000}, size_t{5'000'001}}) {
    const std::string content = Sample(size);
    const auto unpacked = Unpack(Packed(content));
    ASSERT_TRUE(unpacked.has_value()) << unpacked.error().message();
    EXPECT_TRUE(*unpacked == content) << size;
  }
}

TEST_P(DecompressTest, SeveralFramesAreOneStream) {
  const auto unpacked = Unpack(Packed("first") + Packed("") + Packed("second"));
  ASSERT_TRUE(unpacked.has_value()) << unpacked.error().message();
  EXPECT_EQ(*unpacked, "firstsecond");
}

TEST_P(DecompressTest, CutShortIsCorruptAtEveryLength) {
  const std::string packed = Packed(Sample(300));
  for (size_t length = 0; length < packed.size(); ++length) {
    const auto unpacked = Unpack(packed.substr(0, length));
    ASSERT_FALSE(unpacked.has_value()) << length;
    EXPECT_EQ(unpacked.error().code(), ErrorCode::kCorrupt);
  }
}

TEST_P(DecompressTest, CutShortGivesWhatItHoldsWhereThatIsAskedFor) {
  const std::string content = Sample(12'000'000);
  const std::string packed = Packed(content);
  const auto cut = AsBytes(packed).first(packed.size() * 3 / 4);
  const auto unpacked = Decompress(GetParam().compression, cut, kLimit, Ending::kMayBeCut);
  ASSERT_TRUE(unpacked.has_value()) << unpacked.error().message();
  EXPECT_GT(unpacked->size(), 4'000'000U);
  EXPECT_TRUE(content.starts_with(AsText(*unpacked)));
}

TEST_P(DecompressTest, FlippedBytesAreNoticed) {
  const std::string content = Sample(300);
  const std::string packed = Packed(content);
  for (size_t i = packed.size() / 2; i < packed.size(); ++i) {
    std::string damaged = packed;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x55);
    EXPECT_FALSE(Unpack(damaged).has_value()) << i;
  }
}

TEST_P(DecompressTest, TrailingBytesAreCorrupt) { EXPECT_FALSE(Unpack(Packed("content") + "trailing").has_value()); }

TEST_P(DecompressTest, LimitIsExact) {
  const std::string content = Sample(3'000'000);
  const std::string packed = Packed(content);
  EXPECT_TRUE(Unpack(packed, content.size()).has_value());
  const auto over = Unpack(packed, content.size() - 1);
  ASSERT_FALSE(over.has_value());
  EXPECT_EQ(over.error().code(), ErrorCode::kUnsupported);
  EXPECT_THAT(over.error().message(), HasSubstr("2999999"));
}

TEST_P(DecompressTest, SmallStepsGiveTheSameBytes) {
  const std::string content = Sample(10'000);
  const std::string packed = Packed(content);
  auto decompressor = Decompressor::Create(GetParam().compression);
  ASSERT_TRUE(decompressor.has_value());
  std::string unpacked;
  ByteView input = AsBytes(packed);
  while (true) {
    std::array<std::byte, 7> output{};
    const auto step = (*decompressor)->Decode(input.first(std::min<size_t>(input.size(), 3)), output);
    ASSERT_TRUE(step.has_value()) << step.error().message();
    unpacked += AsText(ByteView(output).first(step->produced));
    input = input.subspan(step->consumed);
    if (step->consumed == 0 && step->produced == 0) break;
  }
  EXPECT_TRUE((*decompressor)->AtBoundary());
  EXPECT_TRUE(unpacked == content);
}

TEST_P(DecompressTest, IsKnownByMagicAndBySuffix) {
  EXPECT_EQ(CompressionByMagic(AsBytes(Packed("x"))), GetParam().compression);
  const std::string name = std::string("000000010000000000000001") + GetParam().suffix;
  const auto taken_apart = CompressionBySuffix(name);
  EXPECT_EQ(taken_apart.compression, GetParam().compression);
  EXPECT_EQ(taken_apart.stem, "000000010000000000000001");
}

INSTANTIATE_TEST_SUITE_P(Formats, DecompressTest,
                         ::testing::Values(Format{Compression::kGzip, "gzip", ".gz"},
                                           Format{Compression::kLz4, "lz4", ".lz4"},
                                           Format{Compression::kZstd, "zstd", ".zst"},
                                           Format{Compression::kBzip2, "bzip2", ".bz2"}),
                         [](const auto& info) { return std::string(CompressionName(info.param.compression)); });

TEST(DecompressZlibTest, IsTheShorterFrameOfGzipsMethod) {
  // zlib.compress(b"zlib in a shorter frame " * 3) of Python.
  constexpr std::string_view kPacked(
      "\x78\x9c\xab\xca\xc9\x4c\x52\xc8\xcc\x53\x48\x54\x28\xce\xc8\x2f\x2a\x49\x2d\x52\x48\x2b\x4a\xcc\x4d\x55\xa8"
      "\x22\x51\x1c\x00\xb2\x7a\x19\xd2",
      35);
  const auto unpacked = Decompress(Compression::kZlib, AsBytes(kPacked), 100);
  ASSERT_TRUE(unpacked.has_value()) << unpacked.error().message();
  EXPECT_EQ(AsText(*unpacked), "zlib in a shorter frame zlib in a shorter frame zlib in a shorter frame ");
  EXPECT_FALSE(Decompress(Compression::kGzip, AsBytes(kPacked), 100).has_value());
  EXPECT_FALSE(Decompress(Compression::kZlib, AsBytes(kPacked.substr(0, 30)), 100).has_value());
}

TEST(DecompressPlainTest, OtherNamesAndBytesAreNotCompressed) {
  EXPECT_EQ(CompressionByMagic(AsBytes("PK\x03\x04")), Compression::kNone);
  EXPECT_EQ(CompressionByMagic({}), Compression::kNone);
  EXPECT_EQ(CompressionByMagic(AsBytes("BZh0")), Compression::kNone);
  EXPECT_EQ(CompressionBySuffix("x.xz").stem, "x.xz");
  EXPECT_EQ(Decompress(Compression::kNone, AsBytes("abc"), 3)->size(), 3U);
  EXPECT_FALSE(Decompress(Compression::kNone, AsBytes("abc"), 2).has_value());
}

}  // namespace
}  // namespace pgstrata::codec
