#include "foundation/codec/xxh3.h"

#include <xxhash.h>

namespace pgstrata::codec {

uint64_t Xxh3(ByteView bytes, uint64_t seed) { return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed); }

}  // namespace pgstrata::codec
