#include "backup/source/source_name.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pgstrata::source {

void PrintTo(const SourceName& name, std::ostream* out) {
  *out << static_cast<int>(name.kind) << " \"" << name.rest << "\" \"" << name.time << '"';
}

namespace {

using enum SourceKind;

SourceName Parsed(std::string_view text) {
  const auto name = ParseSourceName(text);
  if (!name) ADD_FAILURE() << text << ": " << name.error().message();
  return name.value_or(SourceName{});
}

TEST(SourceNameTest, PathHoldsASlashAndIsNeverSplitAtAt) {
  EXPECT_EQ(Parsed("/backups/monday"), (SourceName{kDirectory, "/backups/monday", ""}));
  EXPECT_EQ(Parsed("monday/"), (SourceName{kDirectory, "monday/", ""}));
  EXPECT_EQ(Parsed("."), (SourceName{kDirectory, ".", ""}));
  EXPECT_EQ(Parsed(".."), (SourceName{kDirectory, "..", ""}));
  EXPECT_EQ(Parsed("./a@b"), (SourceName{kDirectory, "./a@b", ""}));
  EXPECT_EQ(Parsed("./dir:x"), (SourceName{kDirectory, "./dir:x", ""}));
  EXPECT_EQ(Parsed("http://x"), (SourceName{kDirectory, "http://x", ""}));
}

TEST(SourceNameTest, KindTakesTheRestAsItIs) {
  EXPECT_EQ(Parsed("dir:monday@9"), (SourceName{kDirectory, "monday@9", ""}));
  EXPECT_EQ(Parsed("tar:/x.tar"), (SourceName{kTar, "/x.tar", ""}));
  EXPECT_EQ(Parsed("pg_probackup:/c/main/ID"), (SourceName{kPgProbackup, "/c/main/ID", ""}));
  EXPECT_EQ(Parsed("pgbackrest:/r/main/L"), (SourceName{kPgbackrest, "/r/main/L", ""}));
  EXPECT_EQ(Parsed("store:main/latest"), (SourceName{kStore, "main/latest", ""}));
  EXPECT_EQ(Parsed("branch:b"), (SourceName{kBranch, "b", ""}));
}

TEST(SourceNameTest, NameMayCarryATime) {
  EXPECT_EQ(Parsed("monday"), (SourceName{kName, "monday", ""}));
  EXPECT_EQ(Parsed("a.b_c-1"), (SourceName{kName, "a.b_c-1", ""}));
  EXPECT_EQ(Parsed("monday@2026-11-20 21:05:39+00"), (SourceName{kName, "monday", "2026-11-20 21:05:39+00"}));
  EXPECT_EQ(Parsed("monday@5min ago"), (SourceName{kName, "monday", "5min ago"}));
}

TEST(SourceNameTest, UriAndStandardInput) {
  EXPECT_EQ(Parsed("postgres://h/db"), (SourceName{kServer, "postgres://h/db", ""}));
  EXPECT_EQ(Parsed("postgresql://h/db"), (SourceName{kServer, "postgresql://h/db", ""}));
  EXPECT_EQ(Parsed("-"), (SourceName{kStandardInput, "", ""}));
}

TEST(SourceNameTest, AnythingElseIsAUsageErrorThatNamesAWay) {
  for (const char* text : {"", "dir:", "store:", "latest", "latest~2", "latest@now", "my backup", "-x", "_x", "a@",
                           "@t", "a@b@c", "a\nb", "\xC3\xA4"}) {
    const auto name = ParseSourceName(text);
    ASSERT_FALSE(name.has_value()) << text;
    EXPECT_EQ(name.error().code(), ErrorCode::kUsage) << text;
    EXPECT_FALSE(name.error().hint().empty()) << text;
  }
}

}  // namespace
}  // namespace pgstrata::source
