#include "volume/layer/block_map.h"

#include <algorithm>
#include <bit>

namespace pgstrata::layer {
namespace {

// The bits [first, last) of a word; first < last <= 64.
uint64_t Bits(uint64_t first, uint64_t last) {
  const uint64_t below_last = last == 64 ? ~uint64_t{0} : (uint64_t{1} << last) - 1;
  return below_last & ~((uint64_t{1} << first) - 1);
}

uint64_t CountBits(uint64_t word) { return static_cast<uint64_t>(std::popcount(word)); }

}  // namespace

const BlockMap::Chunk* BlockMap::ChunkOf(uint64_t block) const {
  const uint64_t index = block / kBlocksPerChunk;
  return index < chunks_.size() ? chunks_[index].get() : nullptr;
}

BlockMap::Chunk& BlockMap::MakeChunk(uint64_t block) {
  const uint64_t index = block / kBlocksPerChunk;
  if (index >= chunks_.size()) chunks_.resize(index + 1);
  if (!chunks_[index]) {
    chunks_[index] = std::make_unique<Chunk>();
    ++chunk_count_;
  }
  return *chunks_[index];
}

uint64_t BlockMap::WordOf(const Chunk* chunk, uint64_t block, BlockState state) {
  const uint64_t word = block % kBlocksPerChunk / kBitsPerWord;
  const uint64_t data = chunk != nullptr ? chunk->data[word] : 0;
  const uint64_t zero = chunk != nullptr ? chunk->zero[word] : 0;
  switch (state) {
    case BlockState::kData:
      return data;
    case BlockState::kZero:
      return zero;
    case BlockState::kBelow:
      break;
  }
  return ~(data | zero);
}

BlockState BlockMap::At(uint64_t block) const {
  const Chunk* chunk = ChunkOf(block);
  if (chunk == nullptr) return BlockState::kBelow;
  const uint64_t bit = uint64_t{1} << block % kBitsPerWord;
  if ((WordOf(chunk, block, BlockState::kData) & bit) != 0) return BlockState::kData;
  return (WordOf(chunk, block, BlockState::kZero) & bit) != 0 ? BlockState::kZero : BlockState::kBelow;
}

BlockRun BlockMap::RunAt(uint64_t block, uint64_t end) const {
  const BlockState state = At(block);
  uint64_t at = block;
  while (at < end) {
    const Chunk* chunk = ChunkOf(at);
    if (chunk == nullptr) {
      if (state != BlockState::kBelow) break;
      at = at / kBlocksPerChunk >= chunks_.size() ? end : (at / kBlocksPerChunk + 1) * kBlocksPerChunk;
      continue;
    }
    const uint64_t shift = at % kBitsPerWord;
    const uint64_t left = kBitsPerWord - shift;
    const auto same = static_cast<uint64_t>(std::countr_one(WordOf(chunk, at, state) >> shift));
    at += std::min(same, left);
    if (same < left) break;
  }
  return {state, block, std::min(at, end)};
}

void BlockMap::Set(uint64_t begin, uint64_t end, BlockState state) {
  for (uint64_t at = begin; at < end;) {
    const uint64_t shift = at % kBitsPerWord;
    const uint64_t count = std::min(kBitsPerWord - shift, end - at);
    if (state == BlockState::kBelow && ChunkOf(at) == nullptr) {
      at += count;
      continue;
    }
    Chunk& chunk = MakeChunk(at);
    const uint64_t word = at % kBlocksPerChunk / kBitsPerWord;
    const uint64_t bits = Bits(shift, shift + count);
    data_blocks_ -= CountBits(chunk.data[word] & bits);
    chunk.present -= CountBits((chunk.data[word] | chunk.zero[word]) & bits);
    chunk.data[word] &= ~bits;
    chunk.zero[word] &= ~bits;
    if (state == BlockState::kData) {
      chunk.data[word] |= bits;
      data_blocks_ += count;
    } else if (state == BlockState::kZero) {
      chunk.zero[word] |= bits;
    }
    if (state != BlockState::kBelow) chunk.present += count;
    at += count;
  }
}

void BlockMap::SetAll(const BlockMap& other) {
  for (uint64_t at = 0; at < other.end();) {
    const BlockRun run = other.RunAt(at, other.end());
    if (run.state == BlockState::kData) Set(run.begin, run.end, run.state);
    at = run.end;
  }
}

void BlockMap::ClearFrom(uint64_t block) {
  const uint64_t whole = (block + kBlocksPerChunk - 1) / kBlocksPerChunk;  // the first chunk that goes as a whole
  Set(block, std::min<uint64_t>(whole, chunks_.size()) * kBlocksPerChunk, BlockState::kBelow);
  for (uint64_t index = whole; index < chunks_.size(); ++index) {
    if (!chunks_[index]) continue;
    --chunk_count_;
    for (const uint64_t word : chunks_[index]->data) data_blocks_ -= CountBits(word);
  }
  if (whole < chunks_.size()) chunks_.resize(whole);
}

uint64_t BlockMap::CountPresent(uint64_t end) const {
  const uint64_t whole = std::min<uint64_t>(end / kBlocksPerChunk, chunks_.size());
  uint64_t present = 0;
  for (uint64_t index = 0; index < whole; ++index) present += chunks_[index] ? chunks_[index]->present : 0;
  for (uint64_t at = whole * kBlocksPerChunk; at < end && ChunkOf(at) != nullptr; at += kBitsPerWord) {
    const uint64_t word = ~WordOf(ChunkOf(at), at, BlockState::kBelow);
    present += CountBits(word & Bits(0, std::min(kBitsPerWord, end - at)));
  }
  return present;
}

}  // namespace pgstrata::layer
