// Backups of pg_probackup catalogs as sources: parts of real ones (tests/data/probackup).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "backup/source/source.h"
#include "foundation/io/file.h"
#include "tests/support/scratch_directory.h"

namespace pgstrata::source {
namespace {

using ::testing::HasSubstr;

class ProbackupSourceTest : public ::testing::Test {
 protected:
  ProbackupSourceTest() {
    namespace fs = std::filesystem;
    for (const char* set : {"mixed_none_tablespace", "page_archive_pglz"}) {
      fs::copy(fs::path(PGSTRATA_SOURCE_DIR) / "tests/data/probackup" / set / "catalog", Catalog(set),
               fs::copy_options::recursive);
    }
  }
  [[nodiscard]] std::string Catalog(const std::string& set) const { return place_.path() + '/' + set; }
  static std::string ErrorText(const std::string& source) {
    const auto resolved = Resolve({.source = source});
    return resolved ? "no error" : resolved.error().message() + " / " + resolved.error().hint();
  }

 private:
  test::ScratchDirectory place_;
};

TEST_F(ProbackupSourceTest, BackupIsNamedInTheCatalogOrByItsPath) {
  const std::string catalog = Catalog("mixed_none_tablespace");
  const std::string directory = catalog + "/backups/main/TOTJZL";
  for (const auto& source : {"pg_probackup:" + catalog + "/main/TOTJZL", directory, directory + "/database"}) {
    const auto resolved = Resolve({.source = source});
    ASSERT_TRUE(resolved.has_value()) << source << ": " << resolved.error().message();
    EXPECT_EQ(resolved->kind, SourceKind::kPgProbackup);
    EXPECT_EQ(resolved->path, directory);
    EXPECT_EQ(resolved->display_name, "main/TOTJZL");
    EXPECT_TRUE(resolved->wal_archives.empty()) << "a STREAM backup has its own";
    const auto again = Resolve({.source = std::string(KindWord(resolved->kind)) + ':' + resolved->path});
    EXPECT_TRUE(again && again->path == directory && again->kind == resolved->kind);
    EXPECT_EQ(image::ReadSmallFile(*resolved->image, "PG_VERSION").value_or("error"), "15\n");
  }
}

TEST_F(ProbackupSourceTest, ArchiveBackupBringsItsArchiveAfterOthers) {
  const std::string catalog = Catalog("page_archive_pglz");
  ASSERT_TRUE(io::WriteWholeFile(catalog + "/wal/main/000000010000000000000008", "segment").has_value());
  const auto resolved = Resolve({.source = catalog + "/backups/main/TOTJZF", .wal_directories = {catalog}});
  ASSERT_TRUE(resolved.has_value()) << resolved.error().message();
  ASSERT_EQ(resolved->wal_archives.size(), 2U);
  EXPECT_TRUE(resolved->wal_archives[0]->List()->empty());
  EXPECT_EQ(resolved->wal_archives[1]->List()->size(), 1U);
}

TEST_F(ProbackupSourceTest, OfSeveralTheNewestThatEndedBeforeIsTaken) {
  const std::string catalog = Catalog("page_archive_pglz");
  const auto taken = [&](const EndedBefore& before) {
    const auto resolved = Resolve({.source = catalog, .newest_before = before});
    return resolved ? resolved->display_name : resolved.error().message();
  };
  const auto at = [](int64_t second) { return EndedBefore{.time = Timestamp{second * 1'000'000'000}, .lsn = {}}; };
  constexpr int64_t kMidnight = 1'795'132'800;  // 2026-11-20 00:00:00+00
  constexpr int64_t kNine = kMidnight + 21 * 3600;
  EXPECT_EQ(taken({}), "main/TOTJZF");
  EXPECT_EQ(taken(at(kNine + 3600)), "main/TOTJZF");
  EXPECT_EQ(taken(at(kNine + 411)), "main/TOTJZC");
  EXPECT_EQ(taken(at(kNine + 408)), "main/TOTJZ9");
  EXPECT_THAT(taken(at(kMidnight)), HasSubstr("none of the 3 backups"));
  EXPECT_EQ(taken({.time = {}, .lsn = Lsn::Parse("7/0")}), "main/TOTJZF");
  EXPECT_THAT(taken({.time = {}, .lsn = Lsn::Parse("0/1")}), HasSubstr("ended before 0/1"));
}

TEST_F(ProbackupSourceTest, AStreamBackupBringsTheArchiveWhereAllWalIsWanted) {
  const auto resolved = Resolve({.source = Catalog("mixed_none_tablespace") + "/backups/main/TOTJZL", .all_wal = true});
  ASSERT_TRUE(resolved.has_value()) << resolved.error().message();
  EXPECT_EQ(resolved->wal_archives.size(), 1U);
}

TEST_F(ProbackupSourceTest, ExternalDirectoryIsAnImageOfItsOwn) {
  const auto resolved =
      Resolve({.source = "pg_probackup:" + Catalog("mixed_none_tablespace") + "/main/TOTJZL/externaldir1"});
  ASSERT_TRUE(resolved.has_value()) << resolved.error().message();
  EXPECT_TRUE(resolved->image->Stat("newfile").has_value());
  EXPECT_FALSE(resolved->image->Stat("PG_VERSION").has_value());
}

TEST_F(ProbackupSourceTest, WhatIsMissingIsNamedWithWhatIsThere) {
  const std::string catalog = Catalog("mixed_none_tablespace");
  EXPECT_THAT(ErrorText("pg_probackup:" + catalog + "/main/NONE"),
              HasSubstr("the backups of main are: TOTJZ9, TOTJZB"));
  EXPECT_THAT(ErrorText("pg_probackup:" + catalog + "/none/TOTJZL"), HasSubstr("its instances are: main"));
  EXPECT_THAT(ErrorText("pg_probackup:/nowhere/x/y"), HasSubstr("CATALOG/INSTANCE/ID"));
}

TEST_F(ProbackupSourceTest, OfTheBackupsInACatalogOneIsChosen) {
  const std::string catalog = Catalog("mixed_none_tablespace");
  std::vector<std::string> asked;
  const auto choose = [&](const std::string&, const std::vector<std::string>& choices) -> Result<size_t> {
    asked = choices;
    return 1;
  };
  for (const auto& source : {catalog, "pg_probackup:" + catalog, catalog + "/backups", catalog + "/backups/main/",
                             "pg_probackup:" + catalog + "/main"}) {
    const auto several = Resolve({.source = source});
    ASSERT_FALSE(several.has_value()) << source;
    EXPECT_EQ(several.error().code(), ErrorCode::kInvalidArgument) << several.error().message();
    EXPECT_THAT(several.error().message(), HasSubstr("3 backups lie in"));
    EXPECT_THAT(several.error().hint(), HasSubstr("/backups/main/TOTJZL ("));
    const auto chosen = Resolve({.source = source, .choose = choose});
    ASSERT_TRUE(chosen.has_value()) << source << ": " << chosen.error().message();
    EXPECT_EQ(chosen->display_name, "main/TOTJZB");
    EXPECT_EQ(chosen->older, std::vector<std::string>{catalog + "/backups/main/TOTJZ9"});
    EXPECT_EQ(asked.size(), 3U);
  }
}

}  // namespace
}  // namespace pgstrata::source
