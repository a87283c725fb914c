#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "catalog/pgbackrest/block_map.h"

// The first bytes say what the manifest does: size of the file in blocks, size of a block, of a checksum.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pgstrata;
  constexpr size_t kHead = 3;
  if (size < kHead) return 0;
  const uint64_t block_size = (1 + data[1] % 8) * 8192ULL;
  const uint64_t file_size = (1 + data[0]) * block_size - data[1];
  const auto bytes = std::as_bytes(std::span(data, size)).subspan(kHead);
  const auto map = pgbackrest::ParseBlockMap(bytes, file_size, block_size, 1 + data[2] % 16, 4);
  if (!map) return 0;
  for (size_t i = 0; i < map->blocks.size(); ++i) {
    const auto& block = map->blocks[i];
    const auto& super_block = map->super_blocks.at(block.super_block);
    if (block.number * block_size >= super_block.size || super_block.holder >= 4) std::abort();
    (void)map->ChecksumOf(i);
  }
  return 0;
}
