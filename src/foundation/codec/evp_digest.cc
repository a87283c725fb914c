#include "foundation/codec/evp_digest.h"

#include <openssl/evp.h>

#include <new>

namespace pgstrata::codec {
namespace {

void MustSucceed(int result) {
  if (result != 1) throw std::bad_alloc();
}

}  // namespace

void EvpDigest::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

EvpDigest::EvpDigest(const evp_md_st* algorithm) : context_(EVP_MD_CTX_new()) {
  MustSucceed(context_ ? EVP_DigestInit_ex(context_.get(), algorithm, nullptr) : 0);
}

size_t EvpDigest::size() const { return static_cast<size_t>(EVP_MD_CTX_get_size(context_.get())); }

void EvpDigest::Update(ByteView bytes) { MustSucceed(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size())); }

void EvpDigest::Finish(MutableBytes digest) {
  MustSucceed(EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(digest.data()), nullptr));
  MustSucceed(EVP_DigestInit_ex(context_.get(), nullptr, nullptr));
}

}  // namespace pgstrata::codec
