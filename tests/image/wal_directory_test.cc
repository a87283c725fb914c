#include "backup/image/wal_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "tests/support/compress.h"
#include "tests/support/scratch_directory.h"

namespace pgstrata::image {
namespace {

using ::testing::HasSubstr;

constexpr size_t kSegmentSize = 1 << 20;
const std::string kSegmentName = "000000010000000000000003";

// A segment whose first page has a long header that says how large segments are.
std::string Segment(char fill) {
  std::string content(kSegmentSize, fill);
  const auto put = [&content](size_t offset, auto value) {
    content.replace(offset, sizeof value, AsText(std::as_bytes(std::span(&value, 1))));
  };
  put(0, uint16_t{0xD110});
  put(2, uint16_t{0x0002});
  put(32, static_cast<uint32_t>(kSegmentSize));
  return content;
}

class WalDirectoryTest : public ::testing::Test {
 protected:
  void Write(const std::string& name, const std::string& content) {
    ASSERT_TRUE(io::WriteWholeFile(scratch_.path() + '/' + name, content).has_value());
  }
  [[nodiscard]] std::string path() const { return scratch_.path(); }
  [[nodiscard]] std::unique_ptr<WalArchive> OpenArchive() const {
    auto archive = OpenWalDirectory(scratch_.path());
    EXPECT_TRUE(archive.has_value());
    return *std::move(archive);
  }
  [[nodiscard]] std::string Read(const std::string& name) const {
    const auto file = OpenArchive()->Open(name);
    if (!file) return "error: " + file.error().message();
    std::string content((*file)->size(), '\0');
    const auto status = (*file)->ReadAt(0, std::as_writable_bytes(std::span(content)));
    return status ? content : "error: " + status.error().message();
  }
  [[nodiscard]] std::vector<std::string> Listed() const {
    std::vector<std::string> shown;
    const auto files = OpenArchive()->List();
    EXPECT_TRUE(files.has_value());
    for (const auto& file : files.value_or(std::vector<WalFile>{})) {
      shown.push_back(file.name + (file.partial ? " partial" : ""));
    }
    return shown;
  }

 private:
  test::ScratchDirectory scratch_;
};

TEST_F(WalDirectoryTest, EveryWayOfStoringASegmentGivesItsBytes) {
  const std::string content = Segment('a');
  Write("000000010000000000000001", content);
  Write("000000010000000000000002.gz", test::Compressed("gzip", content));
  Write("000000010000000000000003.lz4", test::Compressed("lz4", content));
  Write("000000010000000000000004.zst", test::Compressed("zstd", content));
  Write("000000010000000000000005.partial", content);
  Write("000000010000000000000006.gz.partial", test::Compressed("gzip", content));
  Write("000000010000000000000007.partial.zst", test::Compressed("zstd", content));
  Write("000000010000000000000008", test::Compressed("gzip", content));  // archive_command = 'gzip < %p > /wal/%f'
  EXPECT_THAT(Listed(), ::testing::ElementsAre("000000010000000000000001", "000000010000000000000002",
                                               "000000010000000000000003", "000000010000000000000004",
                                               "000000010000000000000005 partial", "000000010000000000000006 partial",
                                               "000000010000000000000007 partial", "000000010000000000000008"));
  for (char digit = '1'; digit <= '8'; ++digit) {
    EXPECT_TRUE(Read(std::string("00000001000000000000000") + digit) == content) << digit;
  }
}

TEST_F(WalDirectoryTest, HistoryFilesOfBothKindsAreListed) {
  Write("00000002.history", "1\t0/3000000\tno reason\n");
  Write("00000003.history.gz", test::Compressed("gzip", "2\t0/4000000\tno reason\n"));
  Write("000000010000000000000003.00000028.backup", "START WAL LOCATION: 0/3000028\n");
  EXPECT_THAT(Listed(), ::testing::ElementsAre("000000010000000000000003.00000028.backup", "00000002.history",
                                               "00000003.history"));
  EXPECT_EQ(Read("00000003.history"), "2\t0/4000000\tno reason\n");
  EXPECT_THAT(Read("000000010000000000000003.00000028.backup"), HasSubstr("START WAL"));
}

TEST_F(WalDirectoryTest, EverythingElseIsPassedOver) {
  for (const char* name :
       {"archive_status", "README", "00000001000000000000000", "0000000100000000000000011", "00000001000000000000000g",
        "00000001000000000000000a", "000000010000000000000003.bak", "000000010000000000000003.gz.tmp",
        "00000002.history.partial", "2.history", "xlogtemp.123", "000000010000000000000003.partial.partial"}) {
    Write(name, "x");
  }
  EXPECT_THAT(Listed(), ::testing::IsEmpty());
}

TEST_F(WalDirectoryTest, WholeWinsOverPartialAndPlainOverCompressed) {
  Write(kSegmentName + ".partial", Segment('p'));
  Write(kSegmentName + ".gz", test::Compressed("gzip", Segment('z')));
  EXPECT_THAT(Listed(), ::testing::ElementsAre(kSegmentName));
  EXPECT_TRUE(Read(kSegmentName) == Segment('z'));
  Write(kSegmentName, Segment('w'));
  EXPECT_THAT(Listed(), ::testing::ElementsAre(kSegmentName));
  EXPECT_TRUE(Read(kSegmentName) == Segment('w'));
}

TEST_F(WalDirectoryTest, DamagedCompressionIsCorruptAndNamesTheFile) {
  std::string packed = test::Compressed("zstd", Segment('a'));
  packed.resize(packed.size() - 3);
  Write(kSegmentName + ".zst", packed);
  Write("000000010000000000000004.gz", "no gzip at all");
  for (const auto& name : {kSegmentName, std::string("000000010000000000000004")}) {
    const auto file = OpenArchive()->Open(name);
    ASSERT_FALSE(file.has_value());
    EXPECT_EQ(file.error().code(), ErrorCode::kCorrupt);
    EXPECT_THAT(file.error().message(), HasSubstr(path() + '/' + name));
  }
}

TEST_F(WalDirectoryTest, PartialSegmentIsFilledUpWithZeros) {
  const std::string content = Segment('a');
  std::string expected = content;
  expected.replace(300'000, std::string::npos, kSegmentSize - 300'000, '\0');
  Write(kSegmentName + ".gz.partial", test::Compressed("gzip", content.substr(0, 300'000)));
  EXPECT_TRUE(Read(kSegmentName) == expected);
  Write("000000010000000000000004.partial", content.substr(0, 300'000));
  EXPECT_TRUE(Read("000000010000000000000004") == expected);
}

TEST_F(WalDirectoryTest, PartialSegmentMayBeCutInItsCompression) {
  const std::string packed = test::Compressed("gzip", Segment('a'));
  Write(kSegmentName + ".gz.partial", packed.substr(0, packed.size() - 8));
  EXPECT_TRUE(Read(kSegmentName) == Segment('a'));
}

TEST_F(WalDirectoryTest, LinkedSegmentIsRead) {
  Write("stored", Segment('a'));
  ASSERT_EQ(::symlink("stored", (path() + '/' + kSegmentName).c_str()), 0);
  EXPECT_TRUE(Read(kSegmentName) == Segment('a'));
}

TEST_F(WalDirectoryTest, WhatIsAbsentIsNotFoundAndWhatIsNoNameIsRefused) {
  EXPECT_EQ(OpenArchive()->Open(kSegmentName).error().code(), ErrorCode::kNotFound);
  for (const auto* name : {"", "..", "000000010000000000000003.gz", "000000010000000000000003.partial", "../x"}) {
    EXPECT_EQ(OpenArchive()->Open(name).error().code(), ErrorCode::kInvalidArgument) << name;
  }
  EXPECT_EQ(OpenWalDirectory(path() + "/missing").error().code(), ErrorCode::kNotFound);
  Write("file", "");
  EXPECT_EQ(OpenWalDirectory(path() + "/file").error().code(), ErrorCode::kInvalidArgument);
}

TEST_F(WalDirectoryTest, SegmentsThatArriveLaterAreSeen) {
  const auto archive = OpenArchive();
  EXPECT_TRUE(archive->List()->empty());
  Write(kSegmentName, Segment('a'));
  EXPECT_EQ(archive->List()->size(), 1U);
  EXPECT_TRUE(archive->Open(kSegmentName).has_value());
}

TEST_F(WalDirectoryTest, ManyOpenSegmentsKeepTheirBytesWithoutKeepingThemInMemory) {
  constexpr int kSegments = 100;  // of 1 MiB: more than may be unpacked at once
  const auto name = [](int number) { return "0000000100000000000000" + std::to_string(number); };
  for (int i = 10; i < kSegments; ++i) {
    Write(name(i) + ".zst", test::Compressed("zstd", Segment(static_cast<char>(i))));
  }
  const auto archive = OpenArchive();
  std::vector<std::unique_ptr<ImageFile>> files;
  for (int i = 10; i < kSegments; ++i) {
    auto file = archive->Open(name(i));
    ASSERT_TRUE(file.has_value()) << file.error().message();
    files.push_back(*std::move(file));
  }
  for (int i = 10; i < kSegments; ++i) {
    const auto& file = files[static_cast<size_t>(i) - 10];
    ASSERT_EQ(file->size(), kSegmentSize);
    std::string end(100, '\0');
    ASSERT_TRUE(file->ReadAt(kSegmentSize - end.size(), std::as_writable_bytes(std::span(end))).has_value());
    EXPECT_EQ(end, std::string(100, static_cast<char>(i)));
  }
}

TEST_F(WalDirectoryTest, CompressedSegmentThatChangedIsCorruptOnceItIsUnpackedAgain) {
  constexpr int kOthers = 70;  // of 1 MiB: what was unpacked first is dropped for them
  Write(kSegmentName + ".zst", test::Compressed("zstd", Segment('a')));
  const auto archive = OpenArchive();
  const auto file = archive->Open(kSegmentName);
  ASSERT_TRUE(file.has_value());
  const std::string other = test::Compressed("zstd", Segment('b'));
  for (int i = 0; i < kOthers; ++i) {
    const std::string name = "0000000200000000000000" + std::to_string(i + 10);
    Write(name + ".zst", other);
    ASSERT_TRUE(archive->Open(name).has_value());
  }
  Write(kSegmentName + ".zst", other + "more");
  std::string begin(100, '\0');
  const auto status = (*file)->ReadAt(0, std::as_writable_bytes(std::span(begin)));
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code(), ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace pgstrata::image
