// XXH3, 64 bits: a fast checksum against damage. It protects from nobody who means harm.
#pragma once

#include <cstdint>

#include "foundation/base/bytes.h"

namespace pgstrata::codec {

uint64_t Xxh3(ByteView bytes, uint64_t seed = 0);

}  // namespace pgstrata::codec
