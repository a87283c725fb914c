// pg_filenode.map: the files of the catalogs that cannot look themselves up (src/backend/utils/cache/relmapper.c).
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "foundation/base/bytes.h"
#include "foundation/base/error.h"
#include "foundation/base/types.h"

namespace pgstrata::pgdata {

// Both PostgreSQL 14-15's form (512 bytes) and the later one (524 bytes): catalog OID -> relfilenode. kCorrupt where
// the size, the magic number, the count or the CRC is wrong.
Result<std::map<Oid, uint32_t>> ParseFilenodeMap(ByteView bytes);

}  // namespace pgstrata::pgdata
