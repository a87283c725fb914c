#include "foundation/base/text.h"

#include <gtest/gtest.h>

namespace pgstrata {
namespace {

TEST(Text, APathIsSplitAtItsLastSlash) {
  using Parts = std::pair<std::string_view, std::string_view>;
  EXPECT_EQ(SplitLast("a/b/c"), Parts("a/b", "c"));
  EXPECT_EQ(SplitLast("c"), Parts("", "c"));
  EXPECT_EQ(SplitLast(""), Parts("", ""));
}

}  // namespace
}  // namespace pgstrata
