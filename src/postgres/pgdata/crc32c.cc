#include "postgres/pgdata/crc32c.h"

#include <array>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace pgstrata::pgdata {
namespace {

constexpr uint32_t kPolynomial = 0x82F63B78;  // reflected

constexpr std::array<uint32_t, 256> MakeTable() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < table.size(); ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    table[i] = crc;
  }
  return table;
}

uint32_t UpdateByTable(ByteView bytes, uint32_t crc) {
  static constexpr std::array<uint32_t, 256> kTable = MakeTable();
  for (const std::byte byte : bytes) crc = (crc >> 8) ^ kTable[(crc ^ static_cast<uint32_t>(byte)) & 0xFF];
  return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t UpdateBySse42(ByteView bytes, uint32_t crc) {
  while (bytes.size() >= sizeof(uint64_t)) {
    crc = static_cast<uint32_t>(_mm_crc32_u64(crc, LoadLe<uint64_t>(bytes, 0)));
    bytes = bytes.subspan(sizeof(uint64_t));
  }
  for (const std::byte byte : bytes) crc = _mm_crc32_u8(crc, static_cast<uint8_t>(byte));
  return crc;
}
#endif

uint32_t Update(ByteView bytes, uint32_t crc) {
#if defined(__x86_64__)
  static const bool kHasSse42 = __builtin_cpu_supports("sse4.2") != 0;
  if (kHasSse42) return UpdateBySse42(bytes, crc);
#endif
  return UpdateByTable(bytes, crc);
}

}  // namespace

uint32_t Crc32c(ByteView bytes, uint32_t seed) { return ~Update(bytes, ~seed); }

}  // namespace pgstrata::pgdata
