// The map of a block incremental file: for each block of the file, where it is stored. Pure: bytes in, facts out.
// docs/format/pgbackrest.md has the bytes.
#pragma once

#include <cstdint>
#include <vector>

#include "foundation/base/bytes.h"
#include "foundation/base/error.h"

namespace pgstrata::pgbackrest {

// A run of bytes that was compressed and encrypted as one.
struct SuperBlock {
  uint64_t bundle = 0;  // 0: in the file of its own, NAME.pgbi
  uint64_t offset = 0;  // in the bundle or file
  uint64_t stored_size = 0;
  uint64_t size = 0;    // unpacked
  uint32_t holder = 0;  // into Manifest::labels
  bool operator==(const SuperBlock&) const = default;
};

struct MappedBlock {
  uint32_t super_block = 0;  // into BlockMap::super_blocks
  uint32_t number = 0;       // of the block in it
};

struct BlockMap {
  uint64_t block_size = 0;
  uint32_t checksum_size = 0;
  std::vector<SuperBlock> super_blocks;
  std::vector<MappedBlock> blocks;   // by the number of the block in the file
  std::vector<std::byte> checksums;  // checksum_size bytes for each block: the head of its XXH3-128

  [[nodiscard]] ByteView ChecksumOf(size_t block) const {
    return ByteView(checksums).subspan(block * checksum_size, checksum_size);
  }
};

// Of a file of `file_size` bytes (not 0) whose backup knows `labels` backups. `block_size` and `checksum_size` are what
// the manifest says: 1 byte to 1 GiB, 1 to 16 bytes. kCorrupt where the bytes are not the map of such a file;
// kUnsupported where they are of another version.
Result<BlockMap> ParseBlockMap(ByteView bytes, uint64_t file_size, uint64_t block_size, uint32_t checksum_size,
                               size_t labels);

}  // namespace pgstrata::pgbackrest
