#include "foundation/codec/sha1.h"

#include <openssl/evp.h>

namespace pgstrata::codec {

Sha1::Sha1() : digest_(EVP_sha1()) {}

Sha1Digest Sha1::Finish() {
  Sha1Digest digest;
  digest_.Finish(digest);
  return digest;
}

Sha1Digest Sha1::Of(ByteView bytes) {
  Sha1 hash;
  hash.Update(bytes);
  return hash.Finish();
}

}  // namespace pgstrata::codec
