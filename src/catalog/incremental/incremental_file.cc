#include "catalog/incremental/incremental_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "postgres/pgdata/page.h"

namespace pgstrata::incremental {
namespace {

constexpr uint32_t kMagic = 0xD3AE1F0D;
constexpr size_t kPreamble = 12;  // magic, count of blocks, truncation block length
constexpr size_t kNumber = sizeof(uint32_t);
// Holds the whole header of a file of a thousand blocks.
constexpr size_t kFirstRead = 4096;

std::unexpected<Error> Corrupt(std::string why) { return Fail(ErrorCode::kCorrupt, std::move(why)); }

struct Preamble {
  uint32_t block_count = 0;
  uint32_t truncation_block_length = 0;

  [[nodiscard]] size_t HeaderBytes() const { return kPreamble + block_count * kNumber; }
  [[nodiscard]] size_t LastNumber() const { return kPreamble + (block_count - 1) * kNumber; }
};

Result<Preamble> ParsePreamble(ByteView bytes) {
  if (bytes.size() < kPreamble) return Corrupt("it is shorter than the header of an incremental file");
  const auto magic = LoadLe<uint32_t>(bytes, 0);
  if (magic != kMagic) return Corrupt(fmt::format("its magic number is {:08X}, not {:08X}", magic, kMagic));
  const Preamble preamble{LoadLe<uint32_t>(bytes, 4), LoadLe<uint32_t>(bytes, 8)};
  if (preamble.block_count <= kBlocksPerSegment) return preamble;
  return Corrupt(fmt::format("it claims {} blocks, more than a segment has", preamble.block_count));
}

// A relation that shrank below an earlier segment gets a limit beyond this one from some servers: no more than the
// segment is meant.
uint32_t Clamped(uint32_t truncation_block_length) { return std::min(truncation_block_length, kBlocksPerSegment); }

Result<uint32_t> CheckedBlock(uint32_t block) {
  if (block < kBlocksPerSegment) return block;
  return Corrupt(fmt::format("it claims block {}, which no segment has", block));
}

Result<std::vector<std::byte>> ReadHead(const image::ImageFile& file, uint64_t size) {
  std::vector<std::byte> head(std::min<uint64_t>(size, file.size()));
  PGS_TRY(file.ReadAt(0, head));
  return head;
}

}  // namespace

uint32_t IncrementalHeader::BlockLength() const {
  return std::max(truncation_block_length, blocks.empty() ? 0 : blocks.back() + 1);
}

Result<IncrementalHeader> ParseIncrementalHeader(ByteView header) {
  PGS_ASSIGN(const Preamble preamble, ParsePreamble(header));
  if (header.size() < preamble.HeaderBytes()) return Corrupt("it ends inside of its header");
  IncrementalHeader parsed;
  parsed.truncation_block_length = Clamped(preamble.truncation_block_length);
  parsed.blocks.reserve(preamble.block_count);
  for (size_t at = kPreamble; at < preamble.HeaderBytes(); at += kNumber) {
    PGS_ASSIGN(const uint32_t block, CheckedBlock(LoadLe<uint32_t>(header, at)));
    if (!parsed.blocks.empty() && block <= parsed.blocks.back()) return Corrupt("its block numbers do not ascend");
    parsed.blocks.push_back(block);
  }
  if (preamble.block_count > 0) {
    parsed.data_offset = (preamble.HeaderBytes() + pgdata::kPageSize - 1) / pgdata::kPageSize * pgdata::kPageSize;
  }
  return parsed;
}

Result<IncrementalHeader> ReadIncrementalHeader(const image::ImageFile& file) {
  PGS_ASSIGN(auto head, ReadHead(file, kFirstRead));
  PGS_ASSIGN(const Preamble preamble, ParsePreamble(head));
  if (preamble.HeaderBytes() > head.size() && preamble.HeaderBytes() <= file.size()) {
    PGS_ASSIGN(head, ReadHead(file, preamble.HeaderBytes()));
  }
  return ParseIncrementalHeader(head);
}

Result<uint32_t> ReadBlockLength(const image::ImageFile& file) {
  PGS_ASSIGN(const auto head, ReadHead(file, kFirstRead));
  PGS_ASSIGN(const Preamble preamble, ParsePreamble(head));
  const uint32_t truncation_block_length = Clamped(preamble.truncation_block_length);
  if (preamble.block_count == 0) return truncation_block_length;
  if (preamble.HeaderBytes() > file.size()) return Corrupt("it ends inside of its header");
  std::array<std::byte, kNumber> last{};
  PGS_TRY(file.ReadAt(preamble.LastNumber(), last));
  PGS_ASSIGN(const uint32_t highest, CheckedBlock(LoadLe<uint32_t>(last, 0)));
  return std::max(truncation_block_length, highest + 1);
}

}  // namespace pgstrata::incremental
