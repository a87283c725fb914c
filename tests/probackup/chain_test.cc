// Which bytes a chain has for a file, and how many.
#include <map>

#include "tests/probackup/chain_fixture.h"

namespace pgstrata::probackup {
namespace {

using test::BuiltBackup;
using test::BuiltFile;
using ::testing::HasSubstr;

TEST_F(ChainTest, NewestBackupThatHoldsAPageWins) {
  BuiltBackup full{.start_time = kTestTime};
  full.files = {Relation(kPath, 5, {0, 1, 2, 3, 4}, 1, PageCompression::kNone)};
  BuiltBackup delta{.start_time = kTestTime + 1, .mode = "DELTA", .parent = full.Id()};
  delta.files = {Relation(kPath, 5, {1, 3}, 2, PageCompression::kPglz)};
  BuiltBackup newest{.start_time = kTestTime + 2, .mode = "DELTA", .parent = delta.Id()};
  newest.files = {Relation(kPath, 6, {3, 5}, 3)};
  catalog().Add(full);
  catalog().Add(delta);
  const auto backup = Open(catalog().Add(newest));
  const auto image = backup->MakeImage();
  EXPECT_EQ(image->Stat(kPath)->size, 6U * 8192);
  EXPECT_TRUE(Read(*image, kPath) == Page(0, 1) + Page(1, 2) + Page(2, 1) + Page(3, 3) + Page(4, 1) + Page(5, 3));
  const auto file = image->Open(kPath);
  const std::string whole = Read(*image, kPath);
  for (const uint64_t offset : {0U, 1U, 4096U, 8191U, 8192U, 20000U, 49151U}) {
    for (const uint64_t length : {1U, 100U, 8192U, 12288U}) {
      if (offset + length > whole.size()) continue;
      EXPECT_TRUE(ReadRange(**file, offset, length) == whole.substr(offset, length)) << offset << ' ' << length;
    }
  }
  EXPECT_THAT(Failure(ReadRange(**file, whole.size(), 1)), HasSubstr("beyond the end"));
}

TEST_F(ChainTest, LengthIsWhatTheNewestListSays) {
  BuiltBackup full{.start_time = kTestTime};
  full.files = {Relation(kPath, 5, {0, 1, 2, 3, 4}, 1), Relation("base/5/2", 3, {0, 1, 2}, 1),
                Relation("base/5/3", 2, {0, 1}, 1)};
  BuiltBackup shrunk{.start_time = kTestTime + 1, .mode = "DELTA", .parent = full.Id()};
  BuiltFile emptied = Relation("base/5/2", 0, {}, 1);
  emptied.blocks.reset();
  shrunk.files = {Relation(kPath, 2, {0}, 2), emptied};
  BuiltBackup grown{.start_time = kTestTime + 2, .mode = "DELTA", .parent = shrunk.Id()};
  grown.files = {Unchanged(Relation(kPath, 2, {}, 0)), Relation("base/5/2", 1, {0}, 3)};
  catalog().Add(full);
  const auto second = Open(catalog().Add(shrunk))->MakeImage();
  const auto third = Open(catalog().Add(grown))->MakeImage();
  EXPECT_TRUE(Read(*second, kPath) == Page(0, 2) + Page(1, 1));
  EXPECT_EQ(Read(*second, "base/5/2"), "");
  EXPECT_FALSE(second->Stat("base/5/3").has_value()) << "dropped";
  EXPECT_TRUE(Read(*third, kPath) == Page(0, 2) + Page(1, 1));
  EXPECT_TRUE(Read(*third, "base/5/2") == Page(0, 3));
}

// Their page maps come from the WAL, which does not tell of pages that were added and never written.
TEST_F(ChainTest, EndOfAPageBackupsFileIsTheLastPageThatWasStored) {
  BuiltBackup full{.start_time = kTestTime};
  full.files = {Relation(kPath, 2, {0, 1}, 1)};
  BuiltBackup page{.start_time = kTestTime + 1, .mode = "PAGE", .parent = full.Id()};
  page.files = {Relation(kPath, 9, {1, 5}, 2)};
  catalog().Add(full);
  const auto image = Open(catalog().Add(page))->MakeImage();
  EXPECT_EQ(image->Stat(kPath)->size, 6U * 8192);
  EXPECT_EQ((*image->List("base/5"))[0].size, 6U * 8192);
  EXPECT_TRUE(Read(*image, kPath) == Page(0, 1) + Page(1, 2) + std::string(3 * 8192, '\0') + Page(5, 2));
  const auto file = image->Open(kPath);
  EXPECT_EQ((*file)->NextData(8192), 8192U);
  EXPECT_EQ((*file)->NextData(2 * 8192 + 5), 5U * 8192);
}

TEST_F(ChainTest, SecondSegmentHasChecksumsOfItsFork) {
  BuiltBackup full{.start_time = kTestTime};
  BuiltFile file{.path = "base/5/16384.1", .segment = 1, .blocks = 2};
  file.has_pages = true;
  file.pages[0] = test::MakePage(131072, 7);
  file.pages[1] = test::MakePage(131073, 8, false);
  full.files = {file};
  const auto image = Open(catalog().Add(full))->MakeImage();
  EXPECT_TRUE(Read(*image, "base/5/16384.1") == file.pages[0] + file.pages[1]);
}

TEST_F(ChainTest, PagesOfZerosAreStoredPages) {
  BuiltBackup full{.start_time = kTestTime};
  BuiltFile file = Relation(kPath, 3, {0, 2}, 1);
  file.pages[1] = std::string(8192, '\0');
  full.files = {file};
  const auto image = Open(catalog().Add(full))->MakeImage();
  EXPECT_TRUE(Read(*image, kPath) == Page(0, 1) + std::string(8192, '\0') + Page(2, 1));
}

TEST_F(ChainTest, OldBackupsArePaddedAndSayNothingOfLengths) {
  const auto without_blocks = [](BuiltFile file) {
    file.blocks.reset();
    return file;
  };
  BuiltBackup full{.start_time = kTestTime, .version = "2.0.27"};
  full.files = {without_blocks(Relation(kPath, 0, {0, 1, 2, 3, 4, 5}, 1)),
                without_blocks(Relation("base/5/2", 0, {0, 1}, 1, PageCompression::kPglz))};
  BuiltBackup page{.start_time = kTestTime + 1, .mode = "PAGE", .parent = full.Id(), .version = "2.0.27"};
  BuiltFile cut = without_blocks(Relation(kPath, 0, {0}, 2));
  cut.cut_to = 2;
  page.files = {cut, without_blocks(Unchanged(Relation("base/5/2", 0, {}, 1)))};
  BuiltBackup newest{.start_time = kTestTime + 2, .mode = "PAGE", .parent = page.Id(), .version = "2.2.0"};
  newest.files = {without_blocks(Relation(kPath, 0, {3}, 3)),
                  without_blocks(Unchanged(Relation("base/5/2", 0, {}, 1)))};
  const auto oldest_image = Open(catalog().Add(full))->MakeImage();
  const auto cut_image = Open(catalog().Add(page))->MakeImage();
  const auto image = Open(catalog().Add(newest))->MakeImage();
  EXPECT_EQ(oldest_image->Stat(kPath)->size, 6U * 8192);
  EXPECT_TRUE(Read(*cut_image, kPath) == Page(0, 2) + Page(1, 1));
  EXPECT_TRUE(Read(*image, kPath) == Page(0, 2) + Page(1, 1) + std::string(8192, '\0') + Page(3, 3))
      << "what was cut off does not come back";
  EXPECT_TRUE(Read(*image, "base/5/2") == Page(0, 1) + Page(1, 1));
}

TEST_F(ChainTest, NewBackupOnOldParentsReadsBoth) {
  BuiltBackup full{.start_time = kTestTime, .version = "2.3.5"};
  full.files = {Relation(kPath, 3, {0, 1, 2}, 1)};
  BuiltBackup delta{.start_time = kTestTime + 1, .mode = "DELTA", .parent = full.Id()};
  delta.files = {Relation(kPath, 3, {1}, 2)};
  catalog().Add(full);
  const auto image = Open(catalog().Add(delta))->MakeImage();
  EXPECT_TRUE(Read(*image, kPath) == Page(0, 1) + Page(1, 2) + Page(2, 1));
}

TEST_F(ChainTest, FilesWithoutPagesComeFromTheNewestBackupThatHasThem) {
  BuiltBackup full{.start_time = kTestTime};
  full.files = {{.path = "kept", .content = "kept"},
                {.path = "emptied", .content = "full"},
                {.path = "lost", .content = "x"},
                {.path = "tablespace_map", .content = "16384 /srv/space\n"}};
  BuiltBackup delta{.start_time = kTestTime + 1, .mode = "DELTA", .parent = full.Id()};
  delta.files = {{.path = "kept", .unchanged = true, .full_size = 4}, {.path = "emptied", .content = ""}};
  BuiltBackup newest{.start_time = kTestTime + 2, .mode = "DELTA", .parent = delta.Id()};
  newest.files = {{.path = "kept", .unchanged = true, .full_size = 4},
                  {.path = "emptied", .unchanged = true},
                  {.path = "lost", .unchanged = true, .full_size = 1},
                  {.path = "database_map", .content = "{}"},
                  {.path = "tablespace_map", .content = "16384 /srv/space\n"}};
  catalog().Add(full);
  catalog().Add(delta);
  const auto backup = Open(catalog().Add(newest));
  const auto image = backup->MakeImage();
  EXPECT_EQ(Read(*image, "kept"), "kept");
  EXPECT_EQ(Read(*image, "emptied"), "");
  EXPECT_THAT(Failure(Read(*image, "lost")), HasSubstr("no backup in the chain"));
  EXPECT_FALSE(image->Stat("tablespace_map").has_value());
  EXPECT_FALSE(image->Stat("database_map").has_value());
  ASSERT_EQ(backup->Tablespaces()->size(), 1U);
  EXPECT_EQ(backup->Tablespaces()->front().location, "/srv/space");
}

TEST_F(ChainTest, ExternalDirectoriesAreTreesOfTheirOwn) {
  BuiltBackup full{.start_time = kTestTime, .external_directories = "/srv/two:/srv/one"};
  full.files = {{.path = "PG_VERSION", .content = "15\n"},
                {.path = "same", .external = 1, .content = "in one"},
                {.path = "same", .external = 2, .content = "in two"},
                {.path = "deep", .mode = 040750, .external = 2},
                {.path = "deep/file", .external = 2, .content = "below"}};
  BuiltBackup delta{.start_time = kTestTime + 1, .mode = "DELTA", .parent = full.Id()};
  delta.external_directories = full.external_directories;
  delta.files = {{.path = "PG_VERSION", .unchanged = true, .full_size = 3},
                 {.path = "same", .external = 2, .unchanged = true, .full_size = 6}};
  catalog().Add(full);
  const auto backup = Open(catalog().Add(delta));
  ASSERT_EQ(backup->ExternalDirectories().size(), 2U);
  EXPECT_EQ(backup->ExternalDirectories()[1].location, "/srv/two");
  EXPECT_FALSE(backup->MakeImage()->Stat("same").has_value());
  EXPECT_EQ(Read(**backup->MakeExternalImage(2), "same"), "in two");
  EXPECT_TRUE((*backup->MakeExternalImage(1))->List("")->empty());
  EXPECT_FALSE(backup->MakeExternalImage(3).has_value());
  EXPECT_FALSE(backup->MakeExternalImage(0).has_value());
}

TEST_F(ChainTest, DirectoriesComeFromTheListAndTheRootIsPrivate) {
  BuiltBackup full{.start_time = kTestTime};
  full.files = {{.path = "pg_wal", .mode = 040700},
                {.path = "pg_tblspc/16400/PG_15_202209061/5/1", .content = "x"},
                {.path = "group", .mode = 040750}};
  const std::string directory = catalog().Add(full);
  Write(directory + "/database/not_in_the_list", "left behind by a merge");
  const auto image = Open(directory)->MakeImage();
  EXPECT_EQ(image->Stat("")->mode, 0700U);
  EXPECT_EQ(image->Stat("group")->mode, 0750U);
  EXPECT_TRUE(image->List("pg_wal")->empty());
  EXPECT_EQ(image->Stat("pg_tblspc/16400")->kind, image::EntryKind::kDirectory);
  EXPECT_FALSE(image->Stat("not_in_the_list").has_value());
}

TEST_F(ChainTest, ChainsThatLeadNowhereAreRefused) {
  BuiltBackup orphan{.start_time = kTestTime, .mode = "DELTA", .parent = "AAAAAA"};
  EXPECT_THAT(ErrorOf(catalog().Add(orphan)), HasSubstr("backup AAAAAA, on which backup TOTK0V"));
  BuiltBackup first{.start_time = kTestTime + 1, .mode = "DELTA"};
  BuiltBackup second{.start_time = kTestTime + 2, .mode = "DELTA", .parent = first.Id()};
  first.parent = second.Id();
  catalog().Add(first);
  EXPECT_THAT(ErrorOf(catalog().Add(second)), HasSubstr("lead to no full backup"));
  BuiltBackup running{.start_time = kTestTime + 3, .status = "RUNNING"};
  BuiltBackup child{.start_time = kTestTime + 4, .mode = "DELTA", .parent = running.Id()};
  catalog().Add(running);
  EXPECT_THAT(ErrorOf(catalog().Add(child)), HasSubstr("has the status RUNNING"));
  BuiltBackup newer{.start_time = kTestTime + 5, .version = "2.6.0"};
  const std::string directory = catalog().Add(newer);
  EXPECT_THAT(ErrorOf(directory), HasSubstr("--force"));
  EXPECT_EQ(ErrorOf(directory, true), "no error");
}

// Name and what is said of it, of every part.
std::map<std::string, std::string> PartsOf(const image::Image& image) {
  std::map<std::string, std::string> parts;
  const auto visited = image.VisitParts([&](const image::SourcePart& part) -> Status {
    parts[std::string(part.name)] = part.file == nullptr ? std::string(part.fact) : std::to_string(part.file->Digest());
    return {};
  });
  EXPECT_TRUE(visited.has_value()) << visited.error().message();
  return parts;
}

TEST_F(ChainTest, PartsAreTheListsAndTheFilesThatHoldItInEachBackup) {
  BuiltBackup full{.start_time = kTestTime};
  full.files = {Relation(kPath, 2, {0, 1}, 1), {.path = "PG_VERSION", .content = "15\n"}};
  BuiltBackup delta{.start_time = kTestTime + 1, .mode = "DELTA", .parent = full.Id()};
  delta.files = {Relation(kPath, 2, {1}, 2), {.path = "PG_VERSION", .unchanged = true, .full_size = 3}};
  const std::string older = catalog().Add(full);
  const std::string newer = catalog().Add(delta);
  const auto before = PartsOf(*Open(newer)->MakeImage());
  std::vector<std::string> names;
  for (const auto& [name, value] : before) names.push_back(name);
  const auto in = [](const BuiltBackup& backup, const std::string& name) { return backup.Id() + '/' + name; };
  EXPECT_THAT(names, ::testing::UnorderedElementsAre(in(full, "backup.control"), in(full, "backup_content.control"),
                                                     in(full, "page_header_map"), in(full, "database/PG_VERSION"),
                                                     in(full, "database/base/5/16384"), in(delta, "backup.control"),
                                                     in(delta, "backup_content.control"), in(delta, "page_header_map"),
                                                     in(delta, "database/base/5/16384")));
  Write(newer + "/backup.control", Content(newer + "/backup.control") + "note = 'keep'\n");
  EXPECT_EQ(PartsOf(*Open(newer)->MakeImage()), before) << "a note is no other backup";
  Write(newer + "/backup.control", Content(newer + "/backup.control") + "merge-time = '2026-11-20 22:00:00+00'\n");
  EXPECT_NE(PartsOf(*Open(newer)->MakeImage()), before);
  ASSERT_TRUE(io::RemoveFile(older + "/database/PG_VERSION").has_value());
  EXPECT_EQ(PartsOf(*Open(newer)->MakeImage()).at(in(full, "database/PG_VERSION")), image::kPartIsMissing);
}

TEST_F(ChainTest, FileThatChangedAfterItsPartWasVisitedIsNotRead) {
  BuiltBackup full{.start_time = kTestTime};
  full.files = {{.path = "PG_VERSION", .content = "15\n"}};
  const std::string directory = catalog().Add(full);
  const auto image = Open(directory)->MakeImage();
  PartsOf(*image);
  Write(directory + "/database/PG_VERSION", "1500\n");
  EXPECT_THAT(Read(*image, "PG_VERSION"), HasSubstr("changed while the backup was open"));
}

TEST_F(ChainTest, ParentIsFoundUnderAnotherName) {
  BuiltBackup full{.start_time = kTestTime};
  full.files = {Relation(kPath, 1, {0}, 1)};
  BuiltBackup delta{.start_time = kTestTime + 1, .mode = "DELTA", .parent = full.Id()};
  delta.files = {Unchanged(Relation(kPath, 1, {}, 1))};
  const std::string directory = catalog().Add(full);
  ASSERT_TRUE(io::Rename(directory, catalog().root() + "/backups/main/RENAMED").has_value());
  const auto image = Open(catalog().Add(delta))->MakeImage();
  EXPECT_TRUE(Read(*image, kPath) == Page(0, 1));
}

}  // namespace
}  // namespace pgstrata::probackup
