// docs/format/tar.md.
#include "backup/image/tar_header.h"

#include <gtest/gtest.h>

#include "tests/support/tar_writer.h"

namespace pgstrata::image {
namespace {

using test::Sealed;
using test::TarFields;
using test::TarHeaderBlock;
using test::TarWriter;

Result<TarHeader> Parsed(const std::string& block) { return ParseTarHeader(AsBytes(block)); }

ErrorCode CodeOf(const std::string& block) {
  const auto header = Parsed(block);
  return header ? ErrorCode::kInternal : header.error().code();
}

std::string With(size_t offset, std::string_view bytes) {
  std::string block = TarHeaderBlock({.path = "base/5/1259", .size = 8192});
  return Sealed(block.replace(offset, bytes.size(), bytes));
}

TEST(TarHeaderTest, FieldsOfAFile) {
  const auto header = Parsed(Sealed(TarHeaderBlock({.path = "base/5/1259", .mode = 0640, .size = 8192})));
  ASSERT_TRUE(header.has_value()) << header.error().message();
  EXPECT_EQ(header->type, TarType::kFile);
  EXPECT_EQ(header->path, "base/5/1259");
  EXPECT_EQ(header->mode, 0640U);
  EXPECT_EQ(header->uid, 101U);
  EXPECT_EQ(header->gid, 104U);
  EXPECT_EQ(header->size, 8192U);
  EXPECT_EQ(header->modified.unix_ns, 1'763'672'580'000'000'000);
}

TEST(TarHeaderTest, LongPathIsPrefixAndName) {
  const std::string path = std::string(90, 'd') + '/' + std::string(60, 'n');
  EXPECT_EQ(Parsed(Sealed(TarHeaderBlock({.path = path})))->path, path);
}

TEST(TarHeaderTest, GnusMagicHasNoPrefix) {
  std::string block = TarHeaderBlock({.path = "name"});
  block.replace(257, 8, "ustar  \0", 8);
  block.replace(345, 5, "12345");
  EXPECT_EQ(Parsed(Sealed(block))->path, "name");
}

TEST(TarHeaderTest, NumbersThatOctalHasNoRoomForAreBinary) {
  constexpr std::string_view kTenTerabytes("\x80\0\0\0\0\0\x0A\0\0\0\0\0", 12);
  EXPECT_EQ(Parsed(With(124, kTenTerabytes))->size, 10ULL << 40);
  const std::string before_1970(12, '\xFF');
  EXPECT_EQ(Parsed(With(136, before_1970))->modified.unix_ns, -1'000'000'000);
}

TEST(TarHeaderTest, NumbersThatCannotBeAreCorrupt) {
  EXPECT_EQ(CodeOf(With(124, std::string(12, '\xFF'))), ErrorCode::kCorrupt);     // -1 bytes
  EXPECT_EQ(CodeOf(With(124, "\x80\x01\x02\x03\x04\x05")), ErrorCode::kCorrupt);  // more than 64 bits
  EXPECT_EQ(CodeOf(With(124, std::string("\x80\0\0\0\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 12))), ErrorCode::kCorrupt);
  EXPECT_EQ(CodeOf(With(124, "00000000x00")), ErrorCode::kCorrupt);
  EXPECT_EQ(CodeOf(With(108, std::string("\x80\0\0\x01\0\0\0\0", 8))), ErrorCode::kCorrupt);  // an owner of 33 bits
}

TEST(TarHeaderTest, FlippedByteDoesNotPass) {
  const std::string sound = Sealed(TarHeaderBlock({.path = "base/5/1259", .size = 8192}));
  for (const size_t offset : {0, 100, 130, 156, 160, 400}) {
    std::string damaged = sound;
    damaged[offset] = static_cast<char>(damaged[offset] ^ 4);
    EXPECT_EQ(CodeOf(damaged), ErrorCode::kCorrupt) << offset;
  }
  EXPECT_EQ(CodeOf("short"), ErrorCode::kCorrupt);
}

TEST(TarHeaderTest, SparseFilesVolumesAndUnknownTypesAreRefused) {
  for (const char type : {'S', 'M', 'Z'}) {
    EXPECT_EQ(CodeOf(Sealed(TarHeaderBlock({.path = "x", .type = type}))), ErrorCode::kUnsupported) << type;
  }
}

TEST(PaxRecordsTest, ReplaceFields) {
  TarOverrides overrides;
  const std::string records = TarWriter::Record("path", "base/5/long") + TarWriter::Record("size", "99999999999") +
                              TarWriter::Record("mtime", "1763672580.25") + TarWriter::Record("uid", "4000000000") +
                              TarWriter::Record("comment", "=\n") + TarWriter::Record("path", "later");
  ASSERT_TRUE(ParsePaxRecords(AsBytes(records), overrides).has_value());
  EXPECT_EQ(overrides.path, "later");
  EXPECT_EQ(overrides.size, 99'999'999'999U);
  EXPECT_EQ(overrides.uid, 4'000'000'000U);
  EXPECT_EQ(overrides.modified->unix_ns, 1'763'672'580'250'000'000);
}

TEST(PaxRecordsTest, ThatDoNotParseAreCorrupt) {
  for (const char* records : {"x", "5 a=b", "99 path=x\n", "3 a\n", "2 \n", " path=x\n", "10 size=1x\n",
                              "18446744073709551615 a=b\n", "12 mtime=1e9\n", "11 uid=-1xy\n"}) {
    TarOverrides overrides;
    const auto parsed = ParsePaxRecords(AsBytes(std::string_view(records)), overrides);
    ASSERT_FALSE(parsed.has_value()) << records;
    EXPECT_EQ(parsed.error().code(), ErrorCode::kCorrupt) << records;
  }
  TarOverrides overrides;
  const std::string sparse = TarWriter::Record("GNU.sparse.major", "1");
  EXPECT_EQ(ParsePaxRecords(AsBytes(sparse), overrides).error().code(), ErrorCode::kUnsupported);
}

TEST(TarPathTest, IsNormalizedOrRefused) {
  EXPECT_EQ(NormalizeTarPath("./base//5/"), "base/5");
  EXPECT_EQ(NormalizeTarPath("./"), "");
  EXPECT_EQ(NormalizeTarPath(".hidden/..x"), ".hidden/..x");
  for (const std::string_view path : {std::string_view("/etc/passwd"), std::string_view("../x"),
                                      std::string_view("base/../../x"), std::string_view("a\0b", 3)}) {
    const auto normal = NormalizeTarPath(path);
    ASSERT_FALSE(normal.has_value()) << path;
    EXPECT_EQ(normal.error().code(), ErrorCode::kUnsupported) << path;
  }
}

}  // namespace
}  // namespace pgstrata::image
