// INCREMENTAL.NAME: those blocks of one relation file that changed since an earlier backup
// (docs/format/incremental.md). Bytes in, facts out.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "backup/image/image.h"
#include "foundation/base/bytes.h"
#include "foundation/base/error.h"

namespace pgstrata::incremental {

constexpr std::string_view kIncrementalPrefix = "INCREMENTAL.";
// Blocks in a whole segment file; pgdata opens clusters of this size only.
constexpr uint32_t kBlocksPerSegment = 131'072;

// Block numbers count from the start of the segment file.
struct IncrementalHeader {
  // Below it, a block that is not here is in an older backup; from it on, it is zero. At most kBlocksPerSegment.
  uint32_t truncation_block_length = 0;
  std::vector<uint32_t> blocks;  // ascending; the nth lies at data_offset + n * kPageSize
  uint64_t data_offset = 0;

  // Of the file as a restore writes it.
  [[nodiscard]] uint32_t BlockLength() const;
};

// `header`: the file up to and with its last block number, or more. kCorrupt where the magic number, a count or a block
// number cannot be right.
Result<IncrementalHeader> ParseIncrementalHeader(ByteView header);

// Reads the header and no block.
Result<IncrementalHeader> ReadIncrementalHeader(const image::ImageFile& file);
// Its BlockLength() alone: one small read, two for a file of many blocks.
Result<uint32_t> ReadBlockLength(const image::ImageFile& file);

}  // namespace pgstrata::incremental
