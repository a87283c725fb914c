// The first two bytes are the length that the rest has to unpack to.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "foundation/codec/pglz.h"
#include "foundation/codec/zlib_block.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pgstrata;
  if (size < 2) return 0;
  const size_t length = data[0] | (static_cast<size_t>(data[1]) << 8U);
  const ByteView packed(reinterpret_cast<const std::byte*>(data) + 2, size - 2);
  std::vector<std::byte> page(length);
  (void)codec::DecompressPglz(packed, page);
  (void)codec::DecompressZlibBlock(packed, page);
  return 0;
}
