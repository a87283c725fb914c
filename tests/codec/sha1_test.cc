#include "foundation/codec/sha1.h"

#include <gtest/gtest.h>

#include <string>

#include "foundation/codec/sha256.h"

namespace pgstrata::codec {
namespace {

// FIPS 180-4's examples.
constexpr std::string_view kSha1OfNothing = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
constexpr std::string_view kSha1OfAbc = "a9993e364706816aba3e25717850c26c9cd0d89d";

TEST(Sha1Test, KnownDigests) {
  EXPECT_EQ(ToHex(Sha1::Of({})), kSha1OfNothing);
  EXPECT_EQ(ToHex(Sha1::Of(AsBytes("abc"))), kSha1OfAbc);
}

TEST(Sha1Test, PiecesGiveTheDigestOfTheWholeAndFinishedIsAsNew) {
  Sha1 hash;
  for (const char c : std::string("abc")) hash.Update(AsBytes(std::string_view(&c, 1)));
  EXPECT_EQ(ToHex(hash.Finish()), kSha1OfAbc);
  EXPECT_EQ(ToHex(hash.Finish()), kSha1OfNothing);
}

}  // namespace
}  // namespace pgstrata::codec
