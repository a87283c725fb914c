#include "foundation/codec/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pgstrata::codec {
namespace {

TEST(JsonTest, ParsesAndKeepsOrder) {
  const auto value = ParseJson(R"({"b": 1, "a": [true, null]})");
  ASSERT_TRUE(value.has_value());
  EXPECT_EQ(FormatJson(*value), R"({"b":1,"a":[true,null]})");
}

TEST(JsonTest, DamageIsCorruptAndNamesTheByte) {
  const auto value = ParseJson(R"({"a": 1)");
  ASSERT_FALSE(value.has_value());
  EXPECT_EQ(value.error().code(), ErrorCode::kCorrupt);
  EXPECT_THAT(value.error().message(), ::testing::HasSubstr("byte 8"));
}

TEST(JsonTest, DeepNestingDoesNotOverflowTheStack) { EXPECT_FALSE(ParseJson(std::string(1'000'000, '[')).has_value()); }

TEST(JsonTest, BytesThatAreNotUtf8AreReplaced) { EXPECT_EQ(FormatJson(Json("a\xFF")), "\"a\xEF\xBF\xBD\""); }

}  // namespace
}  // namespace pgstrata::codec
