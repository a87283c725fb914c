#include "foundation/codec/fixed_digest.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <type_traits>

#include "foundation/codec/sha1.h"
#include "foundation/codec/sha256.h"

namespace pgstrata::codec {
namespace {

// FIPS 180-4's examples.
struct Sha1Examples {
  using Hash = Sha1;
  static constexpr std::string_view kOfNothing = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
  static constexpr std::string_view kOfAbc = "a9993e364706816aba3e25717850c26c9cd0d89d";
};
struct Sha256Examples {
  using Hash = Sha256;
  static constexpr std::string_view kOfNothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
  static constexpr std::string_view kOfAbc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
};

template <typename Examples>
class FixedDigestTest : public testing::Test {};

struct Names {
  template <typename Examples>
  static std::string GetName(int /*number*/) {
    return std::is_same_v<typename Examples::Hash, Sha1> ? "Sha1" : "Sha256";
  }
};

using Both = testing::Types<Sha1Examples, Sha256Examples>;
TYPED_TEST_SUITE(FixedDigestTest, Both, Names);

TYPED_TEST(FixedDigestTest, KnownDigests) {
  using Hash = typename TypeParam::Hash;
  EXPECT_EQ(ToHex(Hash::Of({})), TypeParam::kOfNothing);
  EXPECT_EQ(ToHex(Hash::Of(AsBytes("abc"))), TypeParam::kOfAbc);
}

TYPED_TEST(FixedDigestTest, PiecesGiveTheDigestOfTheWhole) {
  typename TypeParam::Hash hash;
  for (const char c : std::string("abc")) hash.Update(AsBytes(std::string_view(&c, 1)));
  EXPECT_EQ(ToHex(hash.Finish()), TypeParam::kOfAbc);
}

TYPED_TEST(FixedDigestTest, FinishedIsAsNew) {
  typename TypeParam::Hash hash;
  hash.Update(AsBytes("abc"));
  EXPECT_EQ(ToHex(hash.Finish()), TypeParam::kOfAbc);
  EXPECT_EQ(ToHex(hash.Finish()), TypeParam::kOfNothing);
}

}  // namespace
}  // namespace pgstrata::codec
