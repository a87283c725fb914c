// The part of the conformance suite about the bytes of files.
#include <gmock/gmock.h>

#include "tests/vfs/conformance/suite.h"

namespace pgstrata::vfs {
namespace {

constexpr uint64_t kBlock = 4096;

// `size` bytes that are nowhere zero and differ from block to block.
std::string Pattern(size_t size, int seed = 0) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; ++i)
    bytes[i] = static_cast<char>(1 + (i * 7 + i / kBlock + static_cast<size_t>(seed)) % 255);
  return bytes;
}
std::string Zeros(size_t size) { return std::string(size, '\0'); }

TEST_P(FileSystemConformance, ReadEndsAtTheEndOfTheFile) {
  Start({{"f", Pattern(10'000)}});
  const Inode file = InodeOf("f");
  EXPECT_EQ(Get("f").size, 10'000U);
  EXPECT_TRUE(SameBytes(Content(file), Pattern(10'000)));
  EXPECT_EQ(ReadAt(file, 9'990, 100), Pattern(10'000).substr(9'990));
  EXPECT_EQ(ReadAt(file, 10'000, 100), "");
  EXPECT_EQ(ReadAt(file, 1'000'000, 100), "");
  EXPECT_EQ(ReadAt(file, 5, 0), "");
}

TEST_P(FileSystemConformance, WritesOfEverySizeAndPlace) {
  const std::string old = Pattern(5 * kBlock + 100);
  for (const uint64_t offset : {uint64_t{0}, uint64_t{1}, kBlock - 1, kBlock, kBlock + 1, 3 * kBlock}) {
    for (const uint64_t length :
         {uint64_t{1}, uint64_t{100}, kBlock - 1, kBlock, kBlock + 1, 2 * kBlock, 3 * kBlock + 7}) {
      Start({{"f", old}});
      const Inode file = InodeOf("f");
      std::string expected = old;
      const std::string bytes = Pattern(length, 99);
      expected.resize(std::max<size_t>(expected.size(), offset + length));
      expected.replace(offset, length, bytes);
      Write(file, offset, bytes);
      ASSERT_TRUE(SameBytes(Content(file), expected)) << offset << ' ' << length;
    }
  }
}

TEST_P(FileSystemConformance, WriteBeyondTheEndLeavesZerosBetween) {
  Start({{"f", "abc"}});
  const Inode file = InodeOf("f");
  Write(file, 3 * kBlock + 5, "xyz");
  EXPECT_TRUE(SameBytes(Content(file), "abc" + Zeros(3 * kBlock + 2) + "xyz"));
  Write(file, 0, "");
  EXPECT_EQ(Get("f").size, 3 * kBlock + 8);
}

TEST_P(FileSystemConformance, EmptyWriteChangesNoSize) {
  Start({{"f", "abc"}});
  Write(InodeOf("f"), 1'000, "");
  EXPECT_EQ(Get("f").size, 3U);
}

TEST_P(FileSystemConformance, TruncatedFileStaysTruncatedAfterExtension) {
  for (const uint64_t cut : {uint64_t{0}, uint64_t{1}, kBlock - 1, kBlock, kBlock + 1, 2 * kBlock + 100}) {
    const std::string old = Pattern(3 * kBlock);
    Start({{"f", old}});
    const Inode file = InodeOf("f");
    Resize(file, cut);
    EXPECT_TRUE(SameBytes(Content(file), old.substr(0, cut)));
    Resize(file, 4 * kBlock);
    EXPECT_TRUE(SameBytes(Content(file), old.substr(0, cut) + Zeros(4 * kBlock - cut))) << cut;
    Write(file, 2 * kBlock, "x");
    std::string expected = old.substr(0, cut) + Zeros(4 * kBlock - cut);
    expected[2 * kBlock] = 'x';
    EXPECT_TRUE(SameBytes(Content(file), expected)) << cut;
  }
}

TEST_P(FileSystemConformance, TruncationForgetsWhatWasWrittenToo) {
  for (const uint64_t cut : {uint64_t{0}, uint64_t{5}, kBlock - 1, kBlock, kBlock + 17}) {
    Start({{"f", Pattern(2 * kBlock)}});
    const Inode file = InodeOf("f");
    const std::string written = Pattern(3 * kBlock, 5);
    Write(file, 0, written);
    Resize(file, cut);
    Resize(file, 3 * kBlock);
    EXPECT_TRUE(SameBytes(Content(file), written.substr(0, cut) + Zeros(3 * kBlock - cut))) << cut;
  }
}

TEST_P(FileSystemConformance, WriteAfterTruncationSeesNoOldBytesInItsBlock) {
  Start({{"f", Pattern(kBlock)}});
  const Inode file = InodeOf("f");
  Resize(file, 10);
  Write(file, 100, "x");
  EXPECT_TRUE(SameBytes(Content(file), Pattern(kBlock).substr(0, 10) + Zeros(90) + "x"));
}

TEST_P(FileSystemConformance, HolesCanBePunchedIntoOldAndNewBytes) {
  const std::string old = Pattern(4 * kBlock + 50);
  for (const uint64_t begin : {uint64_t{0}, uint64_t{10}, kBlock, kBlock + 10, 4 * kBlock + 20}) {
    for (const uint64_t length : {uint64_t{1}, uint64_t{500}, kBlock, 2 * kBlock + 13, 10 * kBlock}) {
      for (const bool write_first : {false, true}) {
        Start({{"f", old}});
        const Inode file = InodeOf("f");
        std::string expected = old;
        if (write_first) {
          expected.replace(0, 2 * kBlock, Pattern(2 * kBlock, 7));
          Write(file, 0, Pattern(2 * kBlock, 7));
        }
        const uint64_t end = std::min<uint64_t>(begin + length, old.size());
        expected.replace(begin, end - begin, Zeros(end - begin));
        ASSERT_EQ(ErrorOf(fs().Allocate(file, {.keep_size = true, .punch_hole = true}, begin, length)), 0);
        ASSERT_TRUE(SameBytes(Content(file), expected)) << begin << ' ' << length << ' ' << write_first;
      }
    }
  }
}

TEST_P(FileSystemConformance, ZeroRangeExtendsUnlessItKeepsTheSize) {
  const std::string old = Pattern(kBlock);
  Start({{"f", old}});
  const Inode file = InodeOf("f");
  ASSERT_EQ(ErrorOf(fs().Allocate(file, {.keep_size = true, .zero_range = true}, 4'000, 5'000)), 0);
  EXPECT_TRUE(SameBytes(Content(file), old.substr(0, 4'000) + Zeros(96)));
  ASSERT_EQ(ErrorOf(fs().Allocate(file, {.zero_range = true}, 3'000, 5'000)), 0);
  EXPECT_TRUE(SameBytes(Content(file), old.substr(0, 3'000) + Zeros(5'000)));
}

TEST_P(FileSystemConformance, AllocationExtendsWithZerosAndChangesNoBytes) {
  Start({{"f", "abc"}});
  const Inode file = InodeOf("f");
  ASSERT_EQ(ErrorOf(fs().Allocate(file, {.keep_size = true}, 0, 100'000)), 0);
  EXPECT_TRUE(SameBytes(Content(file), "abc"));
  ASSERT_EQ(ErrorOf(fs().Allocate(file, {}, 1, 1)), 0);
  EXPECT_TRUE(SameBytes(Content(file), "abc"));
  ASSERT_EQ(ErrorOf(fs().Allocate(file, {}, 2, 9'000)), 0);
  EXPECT_TRUE(SameBytes(Content(file), "abc" + Zeros(8'999)));
  EXPECT_EQ(ErrorOf(fs().Allocate(file, {}, 0, 0)), EINVAL);
  EXPECT_EQ(ErrorOf(fs().Allocate(file, {.punch_hole = true}, 0, 10)), EOPNOTSUPP);
}

TEST_P(FileSystemConformance, SeekFindsWrittenDataAndHoles) {
  Start();
  const Inode file = Create("f");
  EXPECT_EQ(ErrorOf(fs().Seek(file, 0, SeekTarget::kData)), ENXIO);
  EXPECT_EQ(ErrorOf(fs().Seek(file, 0, SeekTarget::kHole)), ENXIO);
  Write(file, 2 * kBlock, Pattern(kBlock));
  Resize(file, 5 * kBlock + 1);
  EXPECT_EQ(fs().Seek(file, 0, SeekTarget::kData).value(), 2 * kBlock);
  EXPECT_EQ(fs().Seek(file, 2 * kBlock + 7, SeekTarget::kData).value(), 2 * kBlock + 7);
  EXPECT_EQ(fs().Seek(file, 0, SeekTarget::kHole).value(), 0U);
  EXPECT_EQ(fs().Seek(file, 2 * kBlock + 7, SeekTarget::kHole).value(), 3 * kBlock);
  EXPECT_EQ(ErrorOf(fs().Seek(file, 3 * kBlock, SeekTarget::kData)), ENXIO);
  EXPECT_EQ(fs().Seek(file, 5 * kBlock, SeekTarget::kHole).value(), 5 * kBlock);
  EXPECT_EQ(ErrorOf(fs().Seek(file, 5 * kBlock + 1, SeekTarget::kHole)), ENXIO);
  Write(file, 5 * kBlock, "x");
  EXPECT_EQ(fs().Seek(file, 5 * kBlock, SeekTarget::kHole).value(), 5 * kBlock + 1);
}

TEST_P(FileSystemConformance, SeekNeverSkipsBytes) {
  std::string content = Pattern(6 * kBlock + 10);
  content.replace(kBlock, 2 * kBlock, Zeros(2 * kBlock));
  Start({{"f", content}});
  const Inode file = InodeOf("f");
  ASSERT_EQ(ErrorOf(fs().Allocate(file, {.keep_size = true, .punch_hole = true}, 4 * kBlock, kBlock)), 0);
  content.replace(4 * kBlock, kBlock, Zeros(kBlock));
  uint64_t at = 0;
  while (at < content.size()) {
    const auto data = fs().Seek(file, at, SeekTarget::kData);
    const uint64_t end = data ? *data : content.size();
    EXPECT_TRUE(SameBytes(content.substr(at, end - at), Zeros(end - at)));
    if (!data) break;
    const auto hole = fs().Seek(file, end, SeekTarget::kHole);
    ASSERT_EQ(ErrorOf(hole), 0);
    ASSERT_GT(*hole, end);
    at = *hole;
  }
  EXPECT_EQ(fs().Seek(file, 4 * kBlock, SeekTarget::kHole).value(), 4 * kBlock);
  EXPECT_EQ(fs().Seek(file, 4 * kBlock, SeekTarget::kData).value(), 5 * kBlock);
}

TEST_P(FileSystemConformance, CopyRangeCopiesBytesAndHoles) {
  std::string content = Pattern(600'000);
  Start({{"from", content}, {"to", Pattern(50'000, 3)}});
  const Inode from = InodeOf("from");
  const Inode to = InodeOf("to");
  ASSERT_EQ(ErrorOf(fs().Allocate(from, {.keep_size = true, .punch_hole = true}, 100'000, 200'000)), 0);
  content.replace(100'000, 200'000, Zeros(200'000));
  std::string expected = Pattern(50'000, 3);
  expected.resize(1'000 + 600'000 - 77);
  expected.replace(1'000, 600'000 - 77, content.substr(77));
  EXPECT_EQ(fs().CopyRange(from, 77, to, 1'000, 1'000'000).value(), 600'000U - 77);
  EXPECT_TRUE(SameBytes(Content(to), expected));
  EXPECT_TRUE(SameBytes(Content(from), content));
  EXPECT_EQ(fs().CopyRange(from, 600'000, to, 0, 10).value(), 0U);
  EXPECT_EQ(fs().CopyRange(from, 0, to, 0, 0).value(), 0U);
}

TEST_P(FileSystemConformance, CopyOfAHoleExtendsTheTarget) {
  Start({{"to", "abc"}});
  const Inode from = Create("from");
  Resize(from, 20'000);
  EXPECT_EQ(fs().CopyRange(from, 0, InodeOf("to"), 3, 20'000).value(), 20'000U);
  EXPECT_TRUE(SameBytes(Content("to"), "abc" + Zeros(20'000)));
}

TEST_P(FileSystemConformance, CopyWithinAFileMustNotOverlap) {
  const std::string content = Pattern(10 * kBlock);
  Start({{"f", content}});
  const Inode file = InodeOf("f");
  EXPECT_EQ(ErrorOf(fs().CopyRange(file, 0, file, 100, 200)), EINVAL);
  EXPECT_EQ(ErrorOf(fs().CopyRange(file, 100, file, 0, 200)), EINVAL);
  EXPECT_TRUE(SameBytes(Content(file), content));
  EXPECT_EQ(fs().CopyRange(file, 0, file, 200, 200).value(), 200U);
  EXPECT_EQ(fs().CopyRange(file, kBlock, file, 12 * kBlock, 2 * kBlock).value(), 2 * kBlock);
  std::string expected = content;
  expected.replace(200, 200, content.substr(0, 200));
  expected += Zeros(2 * kBlock) + content.substr(kBlock, 2 * kBlock);
  EXPECT_TRUE(SameBytes(Content(file), expected));
}

TEST_P(FileSystemConformance, BlocksCountWhatIsWritten) {
  Start();
  const Inode file = Create("f");
  Resize(file, 100 * kBlock);
  EXPECT_EQ(Get("f").blocks, 0U);
  Write(file, 10 * kBlock, Pattern(3 * kBlock));
  EXPECT_EQ(Get("f").blocks, 3 * kBlock / 512);
  ASSERT_EQ(ErrorOf(fs().Allocate(file, {.keep_size = true, .punch_hole = true}, 11 * kBlock, kBlock)), 0);
  EXPECT_EQ(Get("f").blocks, 2 * kBlock / 512);
  Resize(file, 0);
  EXPECT_EQ(Get("f").blocks, 0U);
}

}  // namespace
}  // namespace pgstrata::vfs
