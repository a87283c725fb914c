#include "postgres/instance/settings.h"

#include <gtest/gtest.h>

namespace pgstrata::instance {
namespace {

TEST(Settings, KeepOrderAndReplaceInPlace) {
  Settings settings;
  settings.Set("a", "1").Set("B", "2").Set("A", "3");
  EXPECT_EQ(settings.ToConfigurationFile(), "a = '3'\nB = '2'\n");
  EXPECT_EQ(settings.ToArguments(), (std::vector<std::string>{"-c", "a=3", "-c", "B=2"}));
  Settings other;
  other.Set("b", "4").Set("c", "5");
  settings.Merge(other);
  EXPECT_EQ(*settings.Find("b"), "4");
  EXPECT_EQ(*settings.Find("C"), "5");
  EXPECT_EQ(settings.Find("d"), nullptr);
}

TEST(Settings, ValuesAreQuoted) {
  Settings settings;
  settings.Set("a", "it's").Set("b", "a\\b\nc").Set("c", "");
  EXPECT_EQ(settings.ToConfigurationFile(), "a = 'it''s'\nb = 'a\\\\b\\nc'\nc = ''\n");
}

TEST(Settings, ExistByVersion) {
  const auto exists = [](std::string_view name, int major, std::optional<int> minor = std::nullopt) {
    return Exists(name, {major, minor});
  };
  EXPECT_FALSE(exists("recovery_prefetch", 14));
  EXPECT_TRUE(exists("RECOVERY_PREFETCH", 15));
  EXPECT_FALSE(exists("summarize_wal", 16));
  EXPECT_TRUE(exists("summarize_wal", 17));
  EXPECT_FALSE(exists("io_method", 17));
  EXPECT_TRUE(exists("io_method", 18));
  EXPECT_TRUE(exists("work_mem", 14));
}

TEST(Settings, InPlaceTablespacesCameWithAMinorReleaseOf14) {
  EXPECT_FALSE(Exists("allow_in_place_tablespaces", {14, 4}));
  EXPECT_TRUE(Exists("allow_in_place_tablespaces", {14, 5}));
  EXPECT_FALSE(Exists("allow_in_place_tablespaces", {14, std::nullopt}));
  EXPECT_TRUE(Exists("allow_in_place_tablespaces", {15, 0}));
}

TEST(Settings, SetIfExistsLeavesUnknownNamesOut) {
  Settings settings;
  settings.SetIfExists("io_method", "sync", {17, 2}).SetIfExists("event_triggers", "off", {17, 2});
  EXPECT_EQ(settings.ToConfigurationFile(), "event_triggers = 'off'\n");
}

}  // namespace
}  // namespace pgstrata::instance
