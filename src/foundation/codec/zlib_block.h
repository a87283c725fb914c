// zlib streams (RFC 1950) of a known length, taken off in one step: what formats keep page by page.
#pragma once

#include "foundation/base/bytes.h"
#include "foundation/base/error.h"

namespace pgstrata::codec {

// Decodes the whole of `input`, one zlib stream, into the whole of `output`. kCorrupt where it is damaged (zlib has a
// checksum of its own) or gives fewer or more bytes; `output` then holds anything. Allocates once for each thread.
Status DecompressZlibBlock(ByteView input, MutableBytes output);

}  // namespace pgstrata::codec
