#include "catalog/pgbackrest/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "catalog/pgbackrest/info_text.h"
#include "catalog/pgbackrest/json_reader.h"
#include "tests/pgbackrest/repository_writer.h"

namespace pgstrata::pgbackrest {
namespace {

using test::RepositoryWriter;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kHead =
    "[backrest]\nbackrest-format=5\nbackrest-version=\"2.59.1\"\n\n[backup]\nbackup-label=\"20261120-210437F\"\n"
    "backup-reference=\"20261120-210437F\"\n\n[backup:option]\noption-compress=true\n\n";

Result<Manifest> Parse(const std::string& lines) { return ParseManifest(RepositoryWriter::Seal(kHead + lines)); }
Result<Manifest> ParseFile(const std::string& line) { return Parse("[target:file]\n" + line + "\n"); }

TEST(ManifestTest, AFileHasWhatItsLineSaysAndTheDefaultsBehindIt) {
  const auto manifest = Parse(
      "[target:file]\n"
      "pg_data/base/1/1247={\"bi\":2,\"bic\":7,\"bim\":99,\"bni\":2,\"bno\":221,"
      "\"checksum\":\"547df3be44f7cd3edee317af12e586864021b41f\",\"checksum-page\":false,\"checksum-page-error\":[1,[3,"
      "5]],"
      "\"group\":false,\"mode\":\"0640\",\"rck\":\"807017fc04f073eada675f7c73d9b230567138a1\","
      "\"reference\":\"20261119-000000F\",\"repo-size\":11052,\"size\":122880,\"timestamp\":1795208676,\"user\":"
      "\"other\"}\n"
      "pg_data/empty={\"size\":0,\"timestamp\":1}\n\n"
      "[target:file:default]\ngroup=\"dba\"\nmode=\"0600\"\nuser=\"postgres\"\n");
  ASSERT_TRUE(manifest.has_value()) << manifest.error().message();
  EXPECT_EQ(manifest->compress_type, CompressType::kGz);
  ASSERT_EQ(manifest->files.size(), 2U);
  const ManifestFile& file = manifest->files[0];
  EXPECT_EQ(file.block_size, 16384U);
  EXPECT_EQ(file.block_checksum_size, 7U);
  EXPECT_EQ(file.map_size, 99U);
  EXPECT_EQ(file.bundle, 2U);
  EXPECT_EQ(file.bundle_offset, 221U);
  EXPECT_EQ(file.stored_size, 11052U);
  EXPECT_EQ(file.size, 122880U);
  EXPECT_EQ(file.mode, 0640U);
  EXPECT_TRUE(file.checksum_page);
  EXPECT_TRUE(file.has_page_errors);
  EXPECT_EQ(manifest->labels[file.holder], "20261119-000000F");
  EXPECT_EQ(manifest->owners[file.owner], (ManifestOwner{.user = "other", .group = ""}));
  const ManifestFile& empty = manifest->files[1];
  EXPECT_EQ(empty.mode, 0600U);
  EXPECT_EQ(empty.holder, manifest->own_label);
  EXPECT_EQ(manifest->owners[empty.owner], (ManifestOwner{.user = "postgres", .group = "dba"}));
}

TEST(ManifestTest, AKeyMayHoldAnEqualsSignAndOtherBytes) {
  const auto manifest = ParseFile("pg_data/a=\"b\"=c \xFF={\"size\":0,\"timestamp\":1}");
  ASSERT_TRUE(manifest.has_value()) << manifest.error().message();
  EXPECT_EQ(manifest->files[0].name, "pg_data/a=\"b\"=c \xFF");
}

TEST(ManifestTest, TheTypeOfCompressionOverrulesTheOldOption) {
  for (const auto& [type, expected] : std::vector<std::pair<std::string, CompressType>>{{"none", CompressType::kNone},
                                                                                        {"bz2", CompressType::kBz2},
                                                                                        {"lz4", CompressType::kLz4},
                                                                                        {"zst", CompressType::kZst}}) {
    const auto manifest = Parse("[backup:option]\noption-compress-type=\"" + type + "\"\n");
    ASSERT_TRUE(manifest.has_value()) << manifest.error().message();
    EXPECT_EQ(manifest->compress_type, expected);
  }
  EXPECT_EQ(Parse("[backup:option]\noption-compress-type=\"xz\"\n").error().code(), ErrorCode::kUnsupported);
}

TEST(ManifestTest, WhatLeadsOutOrCannotBeIsCorrupt) {
  for (const char* line :
       {"pg_data/../x={\"size\":1,\"timestamp\":1}", "/etc/passwd={\"size\":1,\"timestamp\":1}",
        "pg_data//x={\"size\":1,\"timestamp\":1}", "pg_data/x={\"timestamp\":1}",
        "pg_data/x={\"size\":-1,\"timestamp\":1}", "pg_data/x={\"size\":18446744073709551615,\"timestamp\":1}",
        "pg_data/x={\"bi\":1,\"bim\":5,\"repo-size\":4,\"size\":9,\"timestamp\":1}",
        "pg_data/x={\"bi\":1,\"bic\":17,\"bim\":1,\"size\":9,\"timestamp\":1}",
        "pg_data/x={\"checksum\":\"xyz\",\"size\":1,\"timestamp\":1}", "pg_data/x={\"mode\":\"9999\",\"size\":1}",
        "pg_data/x={\"reference\":\"../..\",\"size\":1,\"timestamp\":1}", "pg_data/x=[]", "pg_data/x=1"}) {
    const auto manifest = ParseFile(line);
    ASSERT_FALSE(manifest.has_value()) << line;
    EXPECT_EQ(manifest.error().code(), ErrorCode::kCorrupt) << line;
  }
}

TEST(InfoTextTest, EveryCutAndFlippedByteIsNoticed) {
  const std::string text = RepositoryWriter::Seal(std::string(kHead) + "[target:file]\npg_data/x={\"size\":0}\n");
  const auto visit = [](const std::string& changed) {
    return VisitInfoText(changed, [](const InfoLine&) { return Status(); });
  };
  EXPECT_TRUE(visit(text).has_value());
  for (size_t length = 0; length + 1 < text.size(); ++length) EXPECT_FALSE(visit(text.substr(0, length))) << length;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n') continue;  // an empty line more or less says nothing
    std::string changed = text;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_FALSE(visit(changed)) << i;
  }
}

TEST(InfoTextTest, AnotherFormatIsUnsupported) {
  const std::string text = RepositoryWriter::Seal("[backrest]\nbackrest-format=6\n");
  EXPECT_EQ(VisitInfoText(text, [](const InfoLine&) { return Status(); }).error().code(), ErrorCode::kUnsupported);
}

TEST(JsonReaderTest, ReadsWhatPgbackrestWrites) {
  JsonReader json(
      "{\"text\":\"a\\\"b\\\\\\u00e9\\n\",\"number\":18446744073709551615,\"yes\":true,\"no\":null,\"list\":[\"x\","
      "\"y\"]}");
  std::string key;
  json.BeginObject();
  ASSERT_TRUE(json.NextKey(key));
  EXPECT_EQ(json.String(), "a\"b\\\xC3\xA9\n");
  ASSERT_TRUE(json.NextKey(key));
  EXPECT_EQ(json.Unsigned(), 18446744073709551615U);
  ASSERT_TRUE(json.NextKey(key));
  EXPECT_TRUE(json.Bool());
  ASSERT_TRUE(json.NextKey(key));
  EXPECT_TRUE(json.IsNull());
  json.Skip();
  ASSERT_TRUE(json.NextKey(key));
  std::vector<std::string> list;
  for (json.BeginArray(); json.NextElement();) list.push_back(json.String());
  EXPECT_THAT(list, ElementsAre("x", "y"));
  EXPECT_FALSE(json.NextKey(key));
  EXPECT_TRUE(json.AtEnd());
}

TEST(JsonReaderTest, WhatIsNoJsonIsNone) {
  for (const char* text : {"", "{", "}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{,}", "[1 2]", "\"a", "\"\\x\"",
                           "\"\\u12\"", "tru", "1 2", "nul", "{\"a\":1}}", "+",
                           "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"}) {
    EXPECT_FALSE(IsJson(text)) << text;
  }
  for (const char* text : {"{}", "[]", "0", "-1.5e3", "true", "\"\"", "{\"a\":[{},[]]}"})
    EXPECT_TRUE(IsJson(text)) << text;
}

}  // namespace
}  // namespace pgstrata::pgbackrest
