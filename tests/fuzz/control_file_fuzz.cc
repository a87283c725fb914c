// A damaged control file stops at its checksum, so each input is also tried with the checksum that it should have.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "postgres/pgdata/control_file.h"
#include "postgres/pgdata/crc32c.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pgstrata;
  const ByteView input = std::as_bytes(std::span(data, size));
  (void)pgdata::ParseControlFile(input);
  (void)pgdata::ParseCheckpoint(input);
  for (const size_t position : {size_t{276}, size_t{288}, size_t{292}}) {
    if (size < position + sizeof(uint32_t)) continue;
    std::vector<std::byte> sealed(input.begin(), input.end());
    const uint32_t crc = pgdata::Crc32c(input.first(position));
    std::memcpy(sealed.data() + position, &crc, sizeof crc);
    const auto control = pgdata::ParseControlFile(sealed);
    if (control) (void)control->MajorVersion();
  }
  return 0;
}
