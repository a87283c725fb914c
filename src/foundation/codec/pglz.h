// PostgreSQL's own compression (src/common/pg_lzcompress.c): control bytes, each followed by eight items that are a
// literal byte or a copy of 3 to 273 bytes from up to 4095 bytes before.
#pragma once

#include "foundation/base/bytes.h"
#include "foundation/base/error.h"

namespace pgstrata::codec {

// Decodes the whole of `input` into the whole of `output`. kCorrupt where it gives fewer or more bytes, is cut, or
// refers to before its beginning; `output` then holds anything.
Status DecompressPglz(ByteView input, MutableBytes output);

}  // namespace pgstrata::codec
