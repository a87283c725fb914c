// Bytes that come in order and once: a stored file with its encryption and compression taken off on the way.
#pragma once

#include <memory>
#include <vector>

#include "foundation/base/bytes.h"
#include "foundation/base/error.h"
#include "foundation/codec/decompress.h"

namespace pgstrata::codec {

// For one thread. After an error it gives nothing more.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // The next bytes: as many as fill `out` (not empty), fewer only at the end, none after it.
  virtual Result<size_t> Read(MutableBytes out) = 0;
};

// Takes the compression (not kNone) off what `packed` gives. Read is kCorrupt where that is damaged or ends early.
Result<std::unique_ptr<ByteSource>> Decompressing(Compression compression, std::unique_ptr<ByteSource> packed);

// The rest of `source`; kUnsupported where that is more than `limit` bytes.
Result<std::vector<std::byte>> ReadAll(ByteSource& source, uint64_t limit);

}  // namespace pgstrata::codec
