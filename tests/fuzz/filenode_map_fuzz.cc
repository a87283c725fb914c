// A damaged map stops at its checksum, so each input is also tried with the checksum that it should have.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "postgres/pgdata/crc32c.h"
#include "postgres/pgdata/filenode_map.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pgstrata;
  const ByteView input = std::as_bytes(std::span(data, size));
  (void)pgdata::ParseFilenodeMap(input);
  for (const size_t position : {size_t{504}, size_t{520}}) {
    if (size < position + sizeof(uint32_t)) continue;
    std::vector<std::byte> sealed(input.begin(), input.end());
    const uint32_t crc = pgdata::Crc32c(input.first(position));
    std::memcpy(sealed.data() + position, &crc, sizeof crc);
    (void)pgdata::ParseFilenodeMap(sealed);
  }
  return 0;
}
