#include "foundation/codec/sha256.h"

#include <gtest/gtest.h>

#include <string>

namespace pgstrata::codec {
namespace {

// FIPS 180-4's examples.
constexpr std::string_view kOfNothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
constexpr std::string_view kOfAbc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(Sha256Test, KnownDigests) {
  EXPECT_EQ(ToHex(Sha256::Of({})), kOfNothing);
  EXPECT_EQ(ToHex(Sha256::Of(AsBytes("abc"))), kOfAbc);
}

TEST(Sha256Test, PiecesGiveTheDigestOfTheWhole) {
  Sha256 hash;
  for (const char c : std::string("abc")) hash.Update(AsBytes(std::string_view(&c, 1)));
  EXPECT_EQ(ToHex(hash.Finish()), kOfAbc);
}

TEST(Sha256Test, FinishedIsAsNew) {
  Sha256 hash;
  hash.Update(AsBytes("abc"));
  EXPECT_EQ(ToHex(hash.Finish()), kOfAbc);
  EXPECT_EQ(ToHex(hash.Finish()), kOfNothing);
}

}  // namespace
}  // namespace pgstrata::codec
