// Invariants:
//   - The newest file alone says how long the result is, and up to where older files count (below_).
//   - The first file that has a block supplies it: entries are never replaced.
#include "catalog/incremental/block_map.h"

#include <algorithm>
#include <utility>

#include "postgres/pgdata/page.h"

namespace pgstrata::incremental {

BlockMap::Run BlockMap::Find(uint32_t block) const {
  const auto at = std::ranges::lower_bound(blocks_, block);
  if (at != blocks_.end() && *at == block) {
    const auto first = static_cast<size_t>(at - blocks_.begin());
    size_t end = first + 1;
    while (end < blocks_.size() && blocks_[end] == blocks_[end - 1] + 1 && backups_[end] == backups_[first] &&
           places_[end] == places_[end - 1] + 1) {
      ++end;
    }
    return {Kind::kIncremental, backups_[first],
            data_offsets_[backups_[first]] + uint64_t{places_[first]} * pgdata::kPageSize,
            static_cast<uint32_t>(end - first)};
  }
  const uint32_t gap_end = at == blocks_.end() ? length_ : *at;
  if (block >= below_) return {Kind::kZero, 0, 0, gap_end - block};
  const uint32_t end = std::min(gap_end, below_);
  if (full_backup_ && block < full_length_) {
    return {Kind::kFull, *full_backup_, uint64_t{block} * pgdata::kPageSize, std::min(end, full_length_) - block};
  }
  return {lost_because_ ? Kind::kLost : Kind::kZero, 0, 0, end - block};
}

size_t BlockMap::Bytes() const {
  return sizeof *this + blocks_.capacity() * sizeof blocks_[0] + places_.capacity() * sizeof places_[0] +
         backups_.capacity() * sizeof backups_[0] + data_offsets_.capacity() * sizeof data_offsets_[0];
}

BlockMapBuilder::BlockMapBuilder(const IncrementalHeader& newest, uint16_t backup) {
  map_.length_ = newest.BlockLength();
  map_.below_ = newest.truncation_block_length;
  map_.data_offsets_.resize(size_t{backup} + 1);
  map_.data_offsets_[backup] = newest.data_offset;
  left_ = map_.below_;
  for (uint32_t place = 0; place < newest.blocks.size(); ++place) Add({newest.blocks[place], place, backup});
}

void BlockMapBuilder::Add(const Entry& entry) {
  if (entry.block < map_.below_) {
    if (found_.empty()) found_.resize(map_.below_);
    if (found_[entry.block]) return;
    found_[entry.block] = true;
    --left_;
  }
  entries_.push_back(entry);
}

void BlockMapBuilder::AddIncremental(const IncrementalHeader& header, uint16_t backup) {
  map_.data_offsets_[backup] = header.data_offset;
  for (uint32_t place = 0; place < header.blocks.size(); ++place) {
    if (header.blocks[place] < map_.below_) Add({header.blocks[place], place, backup});
  }
}

void BlockMapBuilder::EndWithFull(uint16_t backup, uint64_t size) {
  map_.full_backup_ = backup;
  map_.full_length_ = static_cast<uint32_t>(std::min<uint64_t>(size / pgdata::kPageSize, kBlocksPerSegment));
}

void BlockMapBuilder::EndLost(Error why) { map_.lost_because_ = std::move(why); }

BlockMap BlockMapBuilder::Build() && {
  std::ranges::sort(entries_, {}, &Entry::block);
  map_.blocks_.reserve(entries_.size());
  map_.places_.reserve(entries_.size());
  map_.backups_.reserve(entries_.size());
  for (const Entry& entry : entries_) {
    map_.blocks_.push_back(entry.block);
    map_.places_.push_back(entry.place);
    map_.backups_.push_back(entry.backup);
  }
  if (entries_.empty()) map_.data_offsets_ = {};
  return std::move(map_);
}

}  // namespace pgstrata::incremental
