// Which 4 KiB blocks of a file a layer holds. Chunked, so that what was never touched costs one pointer per 16 MiB at
// most.
//
// Not safe from several threads: its owner's lock guards it.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

namespace pgstrata::layer {

constexpr uint64_t kBlockSize = 4096;
constexpr uint64_t BlockOf(uint64_t offset) { return offset / kBlockSize; }
// The number of blocks that hold `bytes` bytes.
constexpr uint64_t BlocksFor(uint64_t bytes) { return bytes / kBlockSize + (bytes % kBlockSize != 0 ? 1 : 0); }

enum class BlockState : uint8_t {
  kBelow,  // not in this layer: what lies below it, as far as that is visible, else zeros
  kData,   // in this layer's data file, all 4 KiB of it
  kZero,   // zeros, whatever lies below or in the data file
};

// Blocks [begin, end) in one state.
struct BlockRun {
  BlockState state = BlockState::kBelow;
  uint64_t begin = 0;
  uint64_t end = 0;
};

class BlockMap {
 public:
  [[nodiscard]] BlockState At(uint64_t block) const;
  // The longest run from `block` on, ended by `end`; block < end.
  [[nodiscard]] BlockRun RunAt(uint64_t block, uint64_t end) const;
  void Set(uint64_t begin, uint64_t end, BlockState state);
  // Every kData block of `other` becomes kData here.
  void SetAll(const BlockMap& other);
  // Everything from `block` on becomes kBelow; chunks that hold nothing any more are freed.
  void ClearFrom(uint64_t block);

  [[nodiscard]] uint64_t data_blocks() const { return data_blocks_; }
  // Every block from here on is kBelow.
  [[nodiscard]] uint64_t end() const { return chunks_.size() * kBlocksPerChunk; }
  // Bytes of memory.
  [[nodiscard]] uint64_t memory() const { return chunks_.size() * sizeof(chunks_[0]) + chunk_count_ * sizeof(Chunk); }
  // Blocks of [0, end) that are not kBelow.
  [[nodiscard]] uint64_t CountPresent(uint64_t end) const;

 private:
  static constexpr uint64_t kBitsPerWord = 64;
  static constexpr uint64_t kWordsPerChunk = 64;
  static constexpr uint64_t kBlocksPerChunk = kBitsPerWord * kWordsPerChunk;
  // Invariant: no block has both bits.
  struct Chunk {
    std::array<uint64_t, kWordsPerChunk> data{};
    std::array<uint64_t, kWordsPerChunk> zero{};
    uint64_t present = 0;  // bits set in both
  };

  [[nodiscard]] const Chunk* ChunkOf(uint64_t block) const;
  Chunk& MakeChunk(uint64_t block);
  // The bits of the word of `block` whose blocks are in `state`.
  [[nodiscard]] static uint64_t WordOf(const Chunk* chunk, uint64_t block, BlockState state);

  std::vector<std::unique_ptr<Chunk>> chunks_;
  uint64_t data_blocks_ = 0;
  uint64_t chunk_count_ = 0;
};

}  // namespace pgstrata::layer
