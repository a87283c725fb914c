// SHA-256, and how digests are written.
#pragma once

#include <string>

#include "foundation/base/bytes.h"
#include "foundation/codec/fixed_digest.h"

namespace pgstrata::codec {

struct Sha256Algorithm {
  static constexpr size_t kBytes = 32;
  static const evp_md_st* Get();
};

using Sha256 = FixedDigest<Sha256Algorithm>;
using Sha256Digest = Sha256::Digest;

// Lower-case hexadecimal, two digits a byte.
std::string ToHex(ByteView bytes);

}  // namespace pgstrata::codec
