#include "foundation/codec/sha256.h"

#include <openssl/evp.h>

namespace pgstrata::codec {

Sha256::Sha256() : digest_(EVP_sha256()) {}

Sha256Digest Sha256::Finish() {
  Sha256Digest digest;
  digest_.Finish(digest);
  return digest;
}

Sha256Digest Sha256::Of(ByteView bytes) {
  Sha256 hash;
  hash.Update(bytes);
  return hash.Finish();
}

std::string ToHex(ByteView bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const std::byte byte : bytes) {
    text += kDigits[std::to_integer<size_t>(byte >> 4)];
    text += kDigits[std::to_integer<size_t>(byte & std::byte{0x0F})];
  }
  return text;
}

}  // namespace pgstrata::codec
