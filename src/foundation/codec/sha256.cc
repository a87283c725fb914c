#include "foundation/codec/sha256.h"

#include <openssl/evp.h>

#include <new>

namespace pgstrata::codec {
namespace {

// The functions below fail only for want of memory: the algorithm is always there.
void MustSucceed(int result) {
  if (result != 1) throw std::bad_alloc();
}

}  // namespace

void Sha256::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  MustSucceed(context_ ? EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) : 0);
}

void Sha256::Update(ByteView bytes) { MustSucceed(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size())); }

Sha256Digest Sha256::Finish() {
  Sha256Digest digest;
  MustSucceed(EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(digest.data()), nullptr));
  MustSucceed(EVP_DigestInit_ex(context_.get(), nullptr, nullptr));
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
