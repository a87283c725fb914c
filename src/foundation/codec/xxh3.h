// XXH3: a fast checksum against damage. It protects from nobody who means harm.
#pragma once

#include <array>
#include <cstdint>

#include "foundation/base/bytes.h"

namespace pgstrata::codec {

uint64_t Xxh3(ByteView bytes, uint64_t seed = 0);

// 128 bits as they are written down: the most significant byte first.
using Xxh3Digest128 = std::array<std::byte, 16>;
Xxh3Digest128 Xxh3Of128(ByteView bytes);

}  // namespace pgstrata::codec
