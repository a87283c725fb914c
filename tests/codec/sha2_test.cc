#include "foundation/codec/sha2.h"

#include <gtest/gtest.h>

#include "foundation/codec/sha256.h"

namespace pgstrata::codec {
namespace {

std::string DigestOfAbc(Sha2Size size) {
  Sha2 hash(size);
  hash.Update(AsBytes("a"));
  hash.Update(AsBytes("bc"));
  return ToHex(hash.Finish());
}

// The examples of FIPS 180-2.
TEST(Sha2Test, DigestsOfAbc) {
  EXPECT_EQ(DigestOfAbc(Sha2Size::k224), "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7");
  EXPECT_EQ(DigestOfAbc(Sha2Size::k256), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(DigestOfAbc(Sha2Size::k384),
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7");
  EXPECT_EQ(
      DigestOfAbc(Sha2Size::k512),
      "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e"
      "2a9ac94fa54ca49f");
}

}  // namespace
}  // namespace pgstrata::codec
