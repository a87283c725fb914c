// What lies below the blocks that a layer has of a file: the image's file, or what a lower layer has of it.
#pragma once

#include <cstdint>

#include "foundation/base/bytes.h"
#include "volume/vfs/file_system.h"

namespace pgstrata::layer {

// Safe from several threads.
class Below {
 public:
  virtual ~Below() = default;
  // Fills `out` from [offset, offset + out.size()), which lies within [0, size()), or fails with EIO: never zeros in
  // place of what could not be read.
  virtual vfs::FsStatus ReadAt(uint64_t offset, MutableBytes out) = 0;
  // The first byte at or after `offset` that may be other than zero, or size(); `offset` where that cannot be told.
  virtual uint64_t NextData(uint64_t offset) = 0;
  [[nodiscard]] virtual uint64_t size() const = 0;
};

}  // namespace pgstrata::layer
