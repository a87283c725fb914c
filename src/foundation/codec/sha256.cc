#include "foundation/codec/sha256.h"

#include <openssl/evp.h>

namespace pgstrata::codec {

const evp_md_st* Sha256Algorithm::Get() { return EVP_sha256(); }

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
