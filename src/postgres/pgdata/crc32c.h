// The checksum of pg_control, WAL records and pg_filenode.map (src/include/port/pg_crc32c.h).
#pragma once

#include <cstdint>

#include "foundation/base/bytes.h"

namespace pgstrata::pgdata {

// CRC-32C (Castagnoli) of `bytes`. `seed` is the result for the bytes before these; 0 for none.
uint32_t Crc32c(ByteView bytes, uint32_t seed = 0);

}  // namespace pgstrata::pgdata
