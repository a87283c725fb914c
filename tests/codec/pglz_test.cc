#include "foundation/codec/pglz.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace pgstrata::codec {
namespace {

using ::testing::HasSubstr;

// `packed` as exactly `size` bytes, or what is wrong with it.
std::string UnpackPglz(const std::string& packed, size_t size) {
  std::string out(size, '?');
  const auto status = DecompressPglz(AsBytes(packed), std::as_writable_bytes(std::span(out)));
  return status ? out : "error: " + status.error().message();
}

// The tag of a copy of `length` (3 to 18) bytes from `distance` before.
std::string Tag(size_t distance, size_t length) {
  return {static_cast<char>(((distance >> 4) & 0xF0U) | (length - 3)), static_cast<char>(distance & 0xFFU)};
}

TEST(Pglz, LiteralsComeThrough) {
  EXPECT_EQ(UnpackPglz(std::string("\0abcdefgh", 9), 8), "abcdefgh");
  EXPECT_EQ(UnpackPglz(std::string("\0abcdefgh\0i", 11), 9), "abcdefghi");
  EXPECT_EQ(UnpackPglz("", 0), "");
}

TEST(Pglz, CopiesMayOverlapWhatTheyWrite) {
  EXPECT_EQ(UnpackPglz("\x04"
                       "ab" +
                           Tag(2, 10),
                       12),
            "abababababab");
  EXPECT_EQ(UnpackPglz("\x02"
                       "x" +
                           Tag(1, 3),
                       4),
            "xxxx");
  EXPECT_EQ(UnpackPglz("\x08"
                       "abc" +
                           Tag(3, 3),
                       6),
            "abcabc");
}

TEST(Pglz, LongCopyHasAnotherByte) {
  EXPECT_EQ(UnpackPglz("\x02"
                       "x" +
                           Tag(1, 18) + std::string(1, '\0'),
                       19),
            std::string(19, 'x'));
  EXPECT_EQ(UnpackPglz("\x02"
                       "x" +
                           Tag(1, 18) + "\xFF",
                       274),
            std::string(274, 'x'));
}

TEST(Pglz, DistanceHasTwelveBits) {
  std::string packed;
  for (int i = 0; i < 500; ++i) packed += std::string(1, '\0') + "abcdefgh";
  packed += "\x01" + Tag(4000, 8);
  EXPECT_EQ(UnpackPglz(packed, 4008).substr(4000), "abcdefgh");
}

TEST(Pglz, DamageIsAnErrorThatSaysWhat) {
  EXPECT_THAT(UnpackPglz(std::string("\0abc", 4), 4), HasSubstr("ends early"));
  EXPECT_THAT(UnpackPglz(std::string("\0abcd", 5), 3), HasSubstr("more follows"));
  EXPECT_THAT(UnpackPglz("\x01" + Tag(1, 3), 3), HasSubstr("before its beginning"));
  EXPECT_THAT(UnpackPglz("\x02"
                         "x" +
                             Tag(2, 3),
                         4),
              HasSubstr("before its beginning"));
  EXPECT_THAT(UnpackPglz("\x02"
                         "x" +
                             Tag(0, 3),
                         4),
              HasSubstr("before its beginning"));
  EXPECT_THAT(UnpackPglz("\x02"
                         "x"
                         "\x01",
                         4),
              HasSubstr("cut"));
  EXPECT_THAT(UnpackPglz("\x02"
                         "x" +
                             Tag(1, 18),
                         30),
              HasSubstr("cut"));
  EXPECT_THAT(UnpackPglz("", 1), HasSubstr("ends early"));
}

}  // namespace
}  // namespace pgstrata::codec
