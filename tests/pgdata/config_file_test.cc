#include "postgres/pgdata/config_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

namespace pgstrata::pgdata {
namespace {

using testing::ElementsAre;

std::vector<std::string> Lines(std::string_view text) {
  const auto entries = ParseConfigFile(text);
  if (!entries) return {entries.error().message()};
  std::vector<std::string> lines;
  for (const ConfigEntry& entry : *entries) lines.push_back(entry.name + "=" + entry.value);
  return lines;
}

TEST(ConfigFile, ValuesAreReadAsPostgresReadsThem) {
  EXPECT_THAT(Lines("port = 5433 # comment\n"
                    "Shared_Buffers 128MB\n"
                    "log_line_prefix='%m ''x'' \\'y\\' \\\\ \\101\\t'\n"
                    "\n  # nothing\r\n"
                    "work_mem=0x10kB\n"
                    "seq_page_cost = +1.5e3\n"
                    "my.setting = on\n"
                    "datestyle = iso-8601/x:y.z\r\n"
                    "empty = ''"),
              ElementsAre("port=5433", "shared_buffers=128MB", "log_line_prefix=%m 'x' 'y' \\ A\t", "work_mem=0x10kB",
                          "seq_page_cost=+1.5e3", "my.setting=on", "datestyle=iso-8601/x:y.z", "empty="));
}

TEST(ConfigFile, SyntaxErrorsNameTheLine) {
  EXPECT_THAT(Lines("a = 1\nb 1 2\n"), ElementsAre("syntax error in line 2, near \"2\""));
  EXPECT_THAT(Lines("a =\n"), ElementsAre("syntax error at the end of line 1"));
  EXPECT_THAT(Lines("a"), ElementsAre("syntax error at the end of line 1"));
  EXPECT_THAT(Lines("\n\na = 'open\n"), ElementsAre("syntax error in line 3, near \"'\""));
  EXPECT_THAT(Lines("a = b.c\n"), ElementsAre("syntax error in line 1, near \"b.c\""));
  EXPECT_THAT(Lines("a = 1.5GB\n"), ElementsAre("syntax error in line 1, near \"GB\""));
  EXPECT_THAT(Lines("1 = a\n"), ElementsAre("syntax error in line 1, near \"1\""));
  EXPECT_EQ(ParseConfigFile("=").error().code(), ErrorCode::kInvalidArgument);
}

TEST(ConfigFile, IncludesAreReportedInTheirPlace) {
  const auto entries = ParseConfigFile("INCLUDE 'a.conf'\ninclude_if_exists = b\ninclude_dir 'conf.d'\nx = 1\n");
  ASSERT_TRUE(entries) << entries.error().message();
  using Kind = ConfigEntry::Kind;
  EXPECT_THAT(*entries, ElementsAre(ConfigEntry{Kind::kInclude, "include", "a.conf", 1},
                                    ConfigEntry{Kind::kIncludeIfExists, "include_if_exists", "b", 2},
                                    ConfigEntry{Kind::kIncludeDirectory, "include_dir", "conf.d", 3},
                                    ConfigEntry{Kind::kSetting, "x", "1", 4}));
}

TEST(ConfigFile, TheLastValueWins) {
  const auto entries = ParseConfigFile("x = 1\nX = 2\ny = 3\n");
  EXPECT_EQ(LastValue(*entries, "x"), "2");
  EXPECT_EQ(LastValue(*entries, "Y"), "3");
  EXPECT_EQ(LastValue(*entries, "z"), std::nullopt);
}

TEST(ConfigFile, QuotedValuesComeBack) {
  for (const char* value : {"", "plain", "it's", "back\\slash", "\\'", "two\nlines", "\t# no comment", "C:\\n\r"}) {
    const std::string line = std::string("x = ") + QuoteConfigValue(value) + "\n";
    const auto entries = ParseConfigFile(line);
    ASSERT_TRUE(entries) << line;
    EXPECT_EQ(entries->front().value, value);
  }
}

TEST(LibraryList, AnEntryIsCalledByItsName) {
  EXPECT_EQ(LibraryName("pg_cron"), "pg_cron");
  EXPECT_EQ(LibraryName("$libdir/pg_cron.so"), "pg_cron");
  EXPECT_EQ(LibraryName("/usr/lib/postgresql/15/lib/auto_explain.so"), "auto_explain");
}

TEST(LibraryList, IsSplitAsPostgresSplitsIt) {
  EXPECT_THAT(*SplitLibraryList(" pg_stat_statements , \"a, \"\"b\"\"\",$libdir/C d "),
              ElementsAre("pg_stat_statements", "a, \"b\"", "$libdir/C d"));
  EXPECT_TRUE(SplitLibraryList("")->empty());
  for (const char* value : {",", "a,", "a,,b", "\"a", "\"a\" b"}) {
    EXPECT_EQ(SplitLibraryList(value).error().code(), ErrorCode::kInvalidArgument) << value;
  }
  const std::vector<std::string> odd = {"a", "b c", "", "d\"e", "f,g"};
  EXPECT_EQ(SplitLibraryList(JoinLibraryList(odd)), odd);
}

}  // namespace
}  // namespace pgstrata::pgdata
