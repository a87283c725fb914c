#include "foundation/codec/sha1.h"

#include <openssl/evp.h>

namespace pgstrata::codec {

const evp_md_st* Sha1Algorithm::Get() { return EVP_sha1(); }

}  // namespace pgstrata::codec
