#include "foundation/codec/xxh3.h"

#include <xxhash.h>

#include <cstring>

namespace pgstrata::codec {

uint64_t Xxh3(ByteView bytes, uint64_t seed) { return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed); }

Xxh3Digest128 Xxh3Of128(ByteView bytes) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes.data(), bytes.size()));
  Xxh3Digest128 digest;
  static_assert(sizeof canonical == sizeof digest);
  std::memcpy(digest.data(), &canonical, sizeof digest);
  return digest;
}

}  // namespace pgstrata::codec
