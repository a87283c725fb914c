// SHA-1: what other tools wrote down long ago. It protects against damage, from nobody who means harm.
#pragma once

#include "foundation/codec/fixed_digest.h"

namespace pgstrata::codec {

struct Sha1Algorithm {
  static constexpr size_t kBytes = 20;
  static const evp_md_st* Get();
};

using Sha1 = FixedDigest<Sha1Algorithm>;
using Sha1Digest = Sha1::Digest;

}  // namespace pgstrata::codec
