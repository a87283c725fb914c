#include "postgres/pgdata/recovery_target.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "postgres/pgdata/pg_time.h"

namespace pgstrata::pgdata {
namespace {

using ::testing::HasSubstr;
using Kind = RecoveryTarget::Kind;

constexpr Timestamp kNow{1'795'000'000'000'000'000};  // 2026-11-18 10:26:40+00
constexpr const char* kNewYork = "America/New_York";

std::string TimeOf(std::string_view text, const std::string& zone = "UTC") {
  const auto target = ParseRecoveryTarget(text, kNow, zone);
  if (!target) return target.error().message();
  return target->kind == Kind::kTime ? FormatExactly(target->time) : "not a time";
}

TEST(RecoveryTargetTest, TimesWithAZone) {
  EXPECT_EQ(TimeOf("2026-11-20 23:03:47.703018+00", kNewYork), "2026-11-20 23:03:47.703018+00");
  EXPECT_EQ(TimeOf("2026-11-20T23:03:38Z", kNewYork), "2026-11-20 23:03:38+00");
  EXPECT_EQ(TimeOf("2026-11-20 23:03:38 UTC", kNewYork), "2026-11-20 23:03:38+00");
  EXPECT_EQ(TimeOf("2026-11-20 18:03:38-05"), "2026-11-20 23:03:38+00");
  EXPECT_EQ(TimeOf("2026-11-20 18:03:38 -05:00"), "2026-11-20 23:03:38+00");
  EXPECT_EQ(TimeOf("2026-11-21 04:33:38+0530"), "2026-11-20 23:03:38+00");
  EXPECT_EQ(TimeOf("2026-11-20 18:03:38 America/New_York"), "2026-11-20 23:03:38+00");
  EXPECT_EQ(TimeOf("2026-11-20 18:03:38 EST"), "2026-11-20 23:03:38+00");
}

TEST(RecoveryTargetTest, AnAbbreviationIsTheSameInSummer) {
  EXPECT_EQ(TimeOf("2026-07-20 21:00 CET"), "2026-07-20 20:00:00+00");
  EXPECT_EQ(TimeOf("2026-01-20 21:00 EET"), "2026-01-20 19:00:00+00");
}

TEST(RecoveryTargetTest, TimesWithoutAZoneAreOfTheOneThatIsGiven) {
  EXPECT_EQ(TimeOf("2026-11-20 18:03:38.700484", kNewYork), "2026-11-20 23:03:38.700484+00");
  EXPECT_EQ(TimeOf("2026-07-01 12:00", kNewYork), "2026-07-01 16:00:00+00");
  EXPECT_EQ(TimeOf("2026-11-20", kNewYork), "2026-11-20 05:00:00+00");
  EXPECT_EQ(TimeOf("2026-11-20 12:00", "<+03>-03"), "2026-11-20 09:00:00+00");
  EXPECT_TRUE(DependsOnZone("2026-11-20 18:03:38"));
  EXPECT_FALSE(DependsOnZone("2026-11-20 18:03:38+00"));
  EXPECT_FALSE(DependsOnZone("5min ago"));
  EXPECT_FALSE(DependsOnZone("latest"));
}

TEST(RecoveryTargetTest, AnHourThatClocksShowTwiceIsTheOneInStandardTime) {
  EXPECT_EQ(TimeOf("2026-11-01 01:30:00", kNewYork), "2026-11-01 06:30:00+00");
}

TEST(RecoveryTargetTest, TheEnvironmentsZoneIsAsItWas) {
  const char* before = std::getenv("TZ");
  const std::string kept = before == nullptr ? "(none)" : before;
  TimeOf("2026-11-20 12:00", kNewYork);
  const char* after = std::getenv("TZ");
  EXPECT_EQ(after == nullptr ? "(none)" : std::string(after), kept);
}

TEST(RecoveryTargetTest, TimesBeforeNow) {
  EXPECT_EQ(TimeOf("5min ago"), TimeOf("-5min"));
  EXPECT_EQ(TimeOf("-0s"), FormatExactly(kNow));
  EXPECT_EQ(TimeOf("1h30min ago"), TimeOf("90 minutes ago"));
  EXPECT_EQ(TimeOf("1 day 2 hours ago"), TimeOf("-26h"));
  EXPECT_EQ(TimeOf("2 weeks ago"), TimeOf("14days ago"));
  EXPECT_EQ(TimeOf("100000d ago"), FormatExactly({}));
}

TEST(RecoveryTargetTest, PlacesInTheWal) {
  EXPECT_EQ(ParseRecoveryTarget("latest", kNow, "")->kind, Kind::kLatest);
  const auto lsn = ParseRecoveryTarget("lsn:16/B374D848", kNow, "");
  ASSERT_TRUE(lsn);
  EXPECT_EQ(lsn->kind, Kind::kLsn);
  EXPECT_EQ(lsn->lsn, Lsn::Parse("16/B374D848"));
  EXPECT_EQ(ParseRecoveryTarget("xid:1234", kNow, "")->xid, 1234U);
  EXPECT_EQ(ParseRecoveryTarget("xid:4294968530", kNow, "")->xid, 1234U);  // of epoch 1
  EXPECT_EQ(ParseRecoveryTarget("name:before the accident", kNow, "")->point, "before the accident");
}

TEST(RecoveryTargetTest, WhatIsNoMomentIsRefusedWithHowToWriteOne) {
  for (const auto* text : {"",
                           "now",
                           "yesterday 12:00",
                           "ago",
                           "5 ago",
                           "5parsecs ago",
                           "99999999999999999999s ago",
                           "-",
                           "lsn:",
                           "lsn:0/0",
                           "lsn:12",
                           "xid:",
                           "xid:0",
                           "xid:-1",
                           "name:",
                           "2026-02-30",
                           "2026-13-01",
                           "2026-11-20 24:00",
                           "2026-11-20 12",
                           "2026-11-20 12:00:00 Middle/Earth",
                           "2026-11-20 12:00:00 ../../etc/passwd",
                           "2026-11-20 12:00:00+99",
                           "2026-11-20x",
                           "1850-01-01",
                           "9999-01-01"}) {
    const auto target = ParseRecoveryTarget(text, kNow, "UTC");
    ASSERT_FALSE(target) << text;
    EXPECT_EQ(target.error().code(), ErrorCode::kUsage) << text;
    EXPECT_THAT(target.error().hint(), HasSubstr("5min ago")) << text;
  }
}

TEST(RecoveryTargetTest, AZoneThatThisMachineLacksIsNamed) {
  const auto target = ParseRecoveryTarget("2026-11-20 12:00", kNow, "Middle/Earth");
  ASSERT_FALSE(target);
  EXPECT_THAT(target.error().message(), HasSubstr("Middle/Earth"));
  EXPECT_THAT(target.error().hint(), HasSubstr("+00"));
}

}  // namespace
}  // namespace pgstrata::pgdata
