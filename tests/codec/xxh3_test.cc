#include "foundation/codec/xxh3.h"

#include <gtest/gtest.h>

#include <string>

#include "foundation/codec/sha256.h"

namespace pgstrata::codec {
namespace {

// The reference values are those of the algorithm's published specification.
TEST(Xxh3Test, IsTheAlgorithmThatItIsNamedFor) {
  EXPECT_EQ(Xxh3({}), 0x2D06800538D394C2U);
  EXPECT_EQ(Xxh3(AsBytes("abc")), 0x78AF5F94892F3950U);
}

TEST(Xxh3Test, The128BitsAreWrittenDownFromTheMostSignificantOn) {
  EXPECT_EQ(ToHex(Xxh3Of128({})), "99aa06d3014798d86001c324468d497f");
}

TEST(Xxh3Test, EveryByteAndTheSeedCount) {
  std::string text(300, 'a');
  const uint64_t before = Xxh3(AsBytes(text));
  EXPECT_NE(Xxh3(AsBytes(text), 1), before);
  for (char& byte : text) {
    ++byte;
    EXPECT_NE(Xxh3(AsBytes(text)), before);
    --byte;
  }
}

}  // namespace
}  // namespace pgstrata::codec
