// docs/format/incremental.md, "The overlay".
#include "catalog/incremental/combined_image.h"

#include <gmock/gmock.h>

#include "foundation/codec/sha256.h"
#include "tests/incremental/chain_fixture.h"

namespace pgstrata::incremental {
namespace {

using ::testing::HasSubstr;

class CombinedImageTest : public ChainFixture {
 protected:
  [[nodiscard]] std::unique_ptr<CombinedImage> Combined() const {
    auto image = CombinedImage::Create(Chain());
    EXPECT_TRUE(image.has_value()) << image.error().message();
    return image ? *std::move(image) : nullptr;
  }

  // The letters of the file's blocks, or the error.
  [[nodiscard]] std::string Read(const std::string& path) const {
    const auto image = Combined();
    const auto file = image->Open(path);
    if (!file) return file.error().message();
    EXPECT_EQ(image->Stat(path)->size, (*file)->size());
    std::string bytes((*file)->size(), '?');
    const auto read = (*file)->ReadAt(0, std::as_writable_bytes(std::span(bytes)));
    return read ? Letters(bytes) : read.error().message();
  }
  [[nodiscard]] static std::string ReadBlock(const image::ImageFile& file, uint32_t block) {
    std::string bytes(pgdata::kPageSize, '?');
    const auto read = file.ReadAt(uint64_t{block} * bytes.size(), std::as_writable_bytes(std::span(bytes)));
    return read ? Letters(bytes) : read.error().message();
  }
  [[nodiscard]] std::vector<std::string> Names(const std::string& directory) const {
    std::vector<std::string> names;
    const auto entries = Combined()->List(directory);
    if (!entries) return {entries.error().message()};
    for (const auto& entry : *entries) names.push_back(entry.name + ' ' + std::to_string(entry.size));
    return names;
  }
};

TEST_F(CombinedImageTest, NewestSupplierWinsBlockByBlock) {
  AddBackup("full").AddFile("base/5/1", Blocks("aaaaaa"));
  AddBackup("incr1").AddFile("base/5/INCREMENTAL.1", IncrementalBytes(6, {{1, 'b'}, {2, 'b'}}));
  AddBackup("incr2").AddFile("base/5/INCREMENTAL.1", IncrementalBytes(6, {}));
  AddBackup("incr3").AddFile("base/5/INCREMENTAL.1", IncrementalBytes(6, {{2, 'c'}, {5, 'c'}}));
  EXPECT_EQ(Read("base/5/1"), "abcaac");
}

TEST_F(CombinedImageTest, LengthComesFromTheNewestAlone) {
  AddBackup("full").AddFile("base/5/1", Blocks("aaaaaa"));
  images_[0]->AddFile("base/5/2", Blocks("aaa"));
  images_[0]->AddFile("base/5/3", Blocks("aaa"));
  AddBackup("incr1").AddFile("base/5/INCREMENTAL.1", IncrementalBytes(2, {}));
  images_[1]->AddFile("base/5/INCREMENTAL.2", IncrementalBytes(5, {}));
  images_[1]->AddFile("base/5/INCREMENTAL.3", IncrementalBytes(1, {{4, 'b'}}));
  EXPECT_EQ(Read("base/5/1"), "aa");     // truncated
  EXPECT_EQ(Read("base/5/2"), "aaa00");  // a limit beyond what the file ever had
  EXPECT_EQ(Read("base/5/3"), "a000b");  // above the limit only what stands here; the rest is zero, not older
}

TEST_F(CombinedImageTest, BlocksThatWereTruncatedInBetweenComeFromTheOlderFile) {
  // The rule looks at the newest limit only, as pg_combinebackup does.
  AddBackup("full").AddFile("base/5/1", Blocks("aaaa"));
  AddBackup("incr1").AddFile("base/5/INCREMENTAL.1", IncrementalBytes(2, {}));
  AddBackup("incr2").AddFile("base/5/INCREMENTAL.1", IncrementalBytes(4, {{2, 'c'}}));
  EXPECT_EQ(Read("base/5/1"), "aaca");
}

TEST_F(CombinedImageTest, FullFileInBetweenEndsTheWalk) {
  AddBackup("full").AddFile("base/5/1", Blocks("aaaa"));
  AddBackup("incr1").AddFile("base/5/1", Blocks("bb"));
  AddBackup("incr2").AddFile("base/5/INCREMENTAL.1", IncrementalBytes(4, {{0, 'c'}}));
  EXPECT_EQ(Read("base/5/1"), "cb00");
}

TEST_F(CombinedImageTest, PlainFilesAreTheNewestOnes) {
  AddBackup("full").AddFile("base/5/1", Blocks("aaaa"));
  images_[0]->AddFile("base/5/gone", "dropped");
  AddBackup("incr1").AddFile("base/5/1", Blocks("b"));
  images_[1]->AddFile("base/5/1_fsm", Blocks("fff"));
  EXPECT_EQ(Read("base/5/1"), "b");
  EXPECT_EQ(Names("base/5"), (std::vector<std::string>{"1 8192", "1_fsm 24576"}));
}

TEST_F(CombinedImageTest, IncrementalCountsOnlyWhereRelationsAre) {
  AddBackup("full").AddFile("global/1", Blocks("a"));
  images_[0]->AddFile("pg_tblspc/16384/PG_17_1/5/1", Blocks("a"));
  auto& newest = AddBackup("incr1");
  newest.AddFile("global/INCREMENTAL.1", IncrementalBytes(1, {}));
  newest.AddFile("pg_tblspc/16384/PG_17_1/5/INCREMENTAL.1", IncrementalBytes(1, {}));
  newest.AddFile("INCREMENTAL.config", "a user's own");
  newest.AddFile("base/INCREMENTAL.1", "a user's own");
  newest.AddFile("pg_wal/INCREMENTAL.1", "a user's own");
  newest.AddFile("global/INCREMENTAL.", "a user's own");
  newest.AddDirectory("global/INCREMENTAL.directory");
  EXPECT_EQ(Read("global/1"), "a");
  EXPECT_EQ(Read("pg_tblspc/16384/PG_17_1/5/1"), "a");
  for (const char* path : {"INCREMENTAL.config", "base/INCREMENTAL.1", "pg_wal/INCREMENTAL.1", "global/INCREMENTAL."}) {
    EXPECT_EQ(Combined()->Stat(path)->size, 12U) << path;
    EXPECT_TRUE(Combined()->Open(path).has_value()) << path;
  }
  EXPECT_EQ(Combined()->Stat("global/INCREMENTAL.directory")->kind, image::EntryKind::kDirectory);
  EXPECT_EQ(Combined()->Stat("global/INCREMENTAL.1").error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(Combined()->Open("global/INCREMENTAL.1").error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(Names("global"), (std::vector<std::string>{"1 8192", "INCREMENTAL. 12", "INCREMENTAL.directory 0"}));
}

TEST_F(CombinedImageTest, LabelIsWithoutTheIncrementalLines) {
  AddBackup("full");
  AddBackup("incr1");
  const auto image = Combined();
  const std::string expected = LabelText(2, 0);
  EXPECT_EQ(image::ReadSmallFile(*image, "backup_label").value_or("error"), expected);
  EXPECT_EQ(image->Stat("backup_label")->size, expected.size());
  EXPECT_EQ(Names("")[1], "backup_label " + std::to_string(expected.size()));
  EXPECT_EQ(CombinedLabel("LABEL: INCREMENTAL FROM LSN: 0/1\nINCREMENTAL FROM TLI: 1"),
            "LABEL: INCREMENTAL FROM LSN: 0/1\n");
}

TEST_F(CombinedImageTest, LostOlderFileFailsOnlyTheBlocksItHeld) {
  AddBackup("full");
  AddBackup("incr1").AddFile("base/5/INCREMENTAL.1", IncrementalBytes(4, {{1, 'b'}}));
  AddBackup("incr2").AddFile("base/5/INCREMENTAL.1", IncrementalBytes(4, {{2, 'c'}, {6, 'c'}}));
  const auto image = Combined();
  const auto file = image->Open("base/5/1");
  ASSERT_TRUE(file.has_value()) << file.error().message();
  EXPECT_EQ(ReadBlock(**file, 1), "b");
  EXPECT_EQ(ReadBlock(**file, 2), "c");
  EXPECT_EQ(ReadBlock(**file, 5), "0");
  EXPECT_EQ(ReadBlock(**file, 6), "c");
  EXPECT_EQ(ReadBlock(**file, 3), "block 3 of \"base/5/1\": the backup \"full\" lacks \"base/5/1\"");
  // Of many blocks that are read at once the error names the first that cannot be.
  EXPECT_EQ(Read("base/5/1"), "block 0 of \"base/5/1\": the backup \"full\" lacks \"base/5/1\"");
}

TEST_F(CombinedImageTest, LostLinkOfTheChainIsNotPassedOver) {
  AddBackup("full").AddFile("base/5/1", Blocks("aa"));
  AddBackup("incr1");
  AddBackup("incr2").AddFile("base/5/INCREMENTAL.1", IncrementalBytes(2, {}));
  EXPECT_THAT(Read("base/5/1"), HasSubstr("the backup \"incr1\" lacks \"base/5/1\""));
}

TEST_F(CombinedImageTest, DamagedHeaderOfAnOlderFileFailsWhatItCouldHold) {
  AddBackup("full").AddFile("base/5/1", Blocks("aa"));
  AddBackup("incr1").AddFile("base/5/INCREMENTAL.1", std::string(12, 'x'));
  AddBackup("incr2").AddFile("base/5/INCREMENTAL.1", IncrementalBytes(2, {{1, 'c'}}));
  const auto image = Combined();
  const auto file = image->Open("base/5/1");
  EXPECT_EQ(ReadBlock(**file, 1), "c");
  EXPECT_THAT(ReadBlock(**file, 0), HasSubstr("\"base/5/INCREMENTAL.1\" of the backup \"incr1\": its magic number"));
}

TEST_F(CombinedImageTest, ShortOlderFileFailsOnlyTheBlocksBehindItsEnd) {
  AddBackup("full").AddFile("base/5/1", Blocks("aaaa"));
  const std::string whole = IncrementalBytes(4, {{1, 'b'}, {2, 'b'}});
  AddBackup("incr1").AddFile("base/5/INCREMENTAL.1", whole.substr(0, whole.size() - 100));
  AddBackup("incr2").AddFile("base/5/INCREMENTAL.1", IncrementalBytes(4, {}));
  const auto image = Combined();
  const auto file = image->Open("base/5/1");
  EXPECT_EQ(ReadBlock(**file, 0), "a");
  EXPECT_EQ(ReadBlock(**file, 1), "b");
  EXPECT_THAT(ReadBlock(**file, 2), HasSubstr("block 2 of \"base/5/1\": from the backup \"incr1\": "
                                              "\"base/5/INCREMENTAL.1\" is cut short"));
  EXPECT_THAT(Read("base/5/1"), HasSubstr("block 2 of"));
}

TEST_F(CombinedImageTest, DamagedNewestIsListedWithASizeAndCannotBeOpened) {
  AddBackup("full").AddFile("base/5/1", Blocks("aaaa"));
  AddBackup("incr1").AddFile("base/5/INCREMENTAL.1", std::string(12, 'x'));
  images_[1]->AddFile("base/5/INCREMENTAL.2", "");
  images_[1]->AddFile("base/5/3", "fine");
  EXPECT_EQ(Names("base/5"), (std::vector<std::string>{"1 32768", "2 8192", "3 4"}));
  for (const char* path : {"base/5/1", "base/5/2"}) {
    const auto file = Combined()->Open(path);
    ASSERT_FALSE(file.has_value());
    EXPECT_EQ(file.error().code(), ErrorCode::kCorrupt);
    EXPECT_THAT(file.error().message(), HasSubstr("of the backup \"incr1\""));
  }
}

TEST_F(CombinedImageTest, FileThatIsThereTwiceIsAnError) {
  AddBackup("full").AddFile("base/5/1", Blocks("a"));
  AddBackup("incr1").AddFile("base/5/INCREMENTAL.1", IncrementalBytes(1, {}));
  images_[1]->AddFile("base/5/1", Blocks("b"));
  EXPECT_EQ(Names("base/5"), (std::vector<std::string>{"1 8192"}));
  EXPECT_THAT(Read("base/5/1"), HasSubstr("twice"));
}

std::string Manifest(const std::vector<std::pair<std::string, uint64_t>>& files) {
  std::string text = "{ \"PostgreSQL-Backup-Manifest-Version\": 2,\n\"System-Identifier\": 7,\n\"Files\": [";
  for (const auto& [path, size] : files) {
    if (!text.ends_with('[')) text += ',';
    text += "\n{ \"Path\": \"" + path + "\", \"Size\": " + std::to_string(size) +
            ", \"Last-Modified\": \"2026-11-20 21:03:04 GMT\" }";
  }
  text += "\n],\n\"WAL-Ranges\": [ ],\n";
  return text + "\"Manifest-Checksum\": \"" + codec::ToHex(codec::Sha256::Of(AsBytes(text))) + "\"}\n";
}

TEST_F(CombinedImageTest, FileThatTheManifestListsAndNobodyHasIsListedAndCannotBeOpened) {
  AddBackup("full").AddFile("base/5/1", Blocks("aaaa"));
  auto& newest = AddBackup("incr1");
  newest.AddFile("base/5/2", Blocks("b"));
  newest.AddFile("base/5/INCREMENTAL.3", IncrementalBytes(1, {{0, 'c'}}));
  newest.AddFile("backup_manifest", Manifest({{"base/5/2", 8192},
                                              {"base/5/INCREMENTAL.3", 16'384},
                                              {"base/5/2.1", 16'384},
                                              {"base/5/INCREMENTAL.1", 12},
                                              {"base/6/1", 8192},
                                              {"postgresql.conf", 5}}));
  EXPECT_EQ(Names("base/5"), (std::vector<std::string>{"1 32768", "2 8192", "2.1 16384", "3 8192"}));
  for (const char* path : {"base/5/1", "base/5/2.1"}) {
    EXPECT_GT(Combined()->Stat(path)->size, 8192U) << path;
    const auto file = Combined()->Open(path);
    ASSERT_FALSE(file.has_value());
    EXPECT_EQ(file.error().code(), ErrorCode::kCorrupt);
    EXPECT_THAT(file.error().message(), HasSubstr("which its manifest lists"));
  }
  EXPECT_EQ(Read("base/5/2"), "b");
  EXPECT_EQ(Read("base/5/3"), "c");
  for (const char* path : {"base/6/1", "postgresql.conf", "base/5/INCREMENTAL.1", "base/5/4"}) {
    EXPECT_EQ(Combined()->Stat(path).error().code(), ErrorCode::kNotFound) << path;
    EXPECT_EQ(Combined()->Open(path).error().code(), ErrorCode::kNotFound) << path;
  }
}

TEST_F(CombinedImageTest, FileThatIsShorterThanItsManifestSaysIsLostBehindItsEnd) {
  AddBackup("full").AddFile("base/5/1", Blocks("aa"));
  images_[0]->AddFile("base/5/2", Blocks("aa"));
  images_[0]->AddFile("backup_manifest", Manifest({{"base/5/1", 4 * 8192}, {"base/5/2", 2 * 8192}}));
  auto& newest = AddBackup("incr1");
  newest.AddFile("base/5/INCREMENTAL.1", IncrementalBytes(4, {{3, 'b'}}));
  newest.AddFile("base/5/INCREMENTAL.2", IncrementalBytes(4, {{3, 'b'}}));
  newest.AddFile("base/5/3", Blocks("cc"));
  newest.AddFile("backup_manifest", Manifest({{"base/5/INCREMENTAL.1", 16'384}, {"base/5/3", 3 * 8192}}));
  const auto image = Combined();
  const auto file = image->Open("base/5/1");
  EXPECT_EQ(ReadBlock(**file, 1), "a");
  EXPECT_EQ(ReadBlock(**file, 3), "b");
  EXPECT_EQ(ReadBlock(**file, 2),
            "block 2 of \"base/5/1\": \"base/5/1\" of the backup \"full\" is cut short: it has "
            "16384 bytes, and its manifest lists 32768");
  EXPECT_EQ(Read("base/5/2"), "aa0b");  // never longer: the rest is zero
  const auto plain = image->Open("base/5/3");
  EXPECT_EQ(image->Stat("base/5/3")->size, 3U * 8192);
  EXPECT_EQ((*plain)->size(), 3U * 8192);
  EXPECT_EQ(ReadBlock(**plain, 1), "c");
  EXPECT_THAT(ReadBlock(**plain, 2), HasSubstr("block 2: \"base/5/3\" of the backup \"incr1\" is cut short"));
}

TEST_F(CombinedImageTest, ZerosAreKnownWithoutReading) {
  AddBackup("full").AddFile("base/5/1", Blocks("a"));
  AddBackup("incr1").AddFile("base/5/INCREMENTAL.1", IncrementalBytes(1, {{9, 'b'}}));
  const auto image = Combined();
  const auto file = image->Open("base/5/1");
  EXPECT_EQ((*file)->NextData(100), 100U);
  EXPECT_EQ((*file)->NextData(8192), 9U * 8192);
  EXPECT_EQ((*file)->NextData(10ULL * 8192), 10U * 8192);
}

TEST_F(CombinedImageTest, WhatIsNoChainIsRefused) {
  AddBackup("full");
  AddBackup("incr1");
  AddBackup("incr2");
  auto chain = Chain();
  const auto refused = [](std::vector<ChainBackup> wrong) {
    const auto image = CombinedImage::Create(std::move(wrong));
    if (image) return std::string("accepted");
    EXPECT_EQ(image.error().code(), ErrorCode::kInvalidArgument);
    EXPECT_THAT(image.error().hint(), HasSubstr("oldest first"));
    return image.error().message();
  };
  EXPECT_THAT(refused({chain[1], chain[2]}), HasSubstr("\"incr1\" is an incremental backup"));
  EXPECT_THAT(refused({chain[0], chain[2]}),
              HasSubstr("\"incr2\" was taken against a backup that starts at 0/2000000 of "
                        "timeline 1; \"full\" starts at 0/1000000"));
  EXPECT_THAT(refused({chain[0], chain[0]}), HasSubstr("\"full\" is a full backup"));
  EXPECT_THAT(refused({chain[0], chain[2], chain[1]}), HasSubstr("\"incr2\" was taken against"));
  chain[1].facts.system_identifier = 8;
  EXPECT_THAT(refused({chain[0], chain[1]}), HasSubstr("\"incr1\" is of another cluster"));
  chain[1].facts.system_identifier = 7;
  chain[1].facts.label.incremental_base->timeline = {2};
  EXPECT_THAT(refused({chain[0], chain[1]}), HasSubstr("timeline 2"));
}

}  // namespace
}  // namespace pgstrata::incremental
