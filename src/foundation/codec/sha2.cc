#include "foundation/codec/sha2.h"

#include <openssl/evp.h>

namespace pgstrata::codec {
namespace {

const EVP_MD* AlgorithmOf(Sha2Size size) {
  switch (size) {
    case Sha2Size::k224:
      return EVP_sha224();
    case Sha2Size::k256:
      return EVP_sha256();
    case Sha2Size::k384:
      return EVP_sha384();
    case Sha2Size::k512:
      break;
  }
  return EVP_sha512();
}

}  // namespace

Sha2::Sha2(Sha2Size size) : digest_(AlgorithmOf(size)) {}

std::vector<std::byte> Sha2::Finish() {
  std::vector<std::byte> digest(digest_.size());
  digest_.Finish(digest);
  return digest;
}

}  // namespace pgstrata::codec
