// For every block of one file of a combined backup: which backup of the chain holds it, and where.
//
// Only what stands in INCREMENTAL files is listed, ten bytes a block at most; the rest comes from the full file below
// them, by its number. So the map of a segment of 1 GiB is empty for most files, 13 KB where one block in a hundred
// changed, and never more than 1.3 MB however long the chain is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "catalog/incremental/incremental_file.h"
#include "foundation/base/error.h"

namespace pgstrata::incremental {

// Immutable; safe from several threads.
class BlockMap {
 public:
  enum class Kind : uint8_t {
    kIncremental,  // in the INCREMENTAL file of `backup`, at `offset`
    kFull,         // in the plain file of `backup`, at `offset`
    kZero,         // nowhere: a restore writes zeros
    kLost,         // in a file that is missing or damaged: see lost_because()
  };
  // Blocks one after another, also where they lie.
  struct Run {
    Kind kind = Kind::kZero;
    uint16_t backup = 0;  // counted from the oldest
    uint64_t offset = 0;
    uint32_t blocks = 0;
  };

  // In blocks.
  [[nodiscard]] uint32_t length() const { return length_; }
  // What begins with `block`, which is below length().
  [[nodiscard]] Run Find(uint32_t block) const;
  [[nodiscard]] const std::optional<Error>& lost_because() const { return lost_because_; }
  // What it takes in memory.
  [[nodiscard]] size_t Bytes() const;

 private:
  friend class BlockMapBuilder;

  uint32_t length_ = 0;
  // Entry by entry, ascending by block.
  std::vector<uint32_t> blocks_;
  std::vector<uint32_t> places_;  // the how manieth of its INCREMENTAL file
  std::vector<uint16_t> backups_;
  std::vector<uint64_t> data_offsets_;  // by backup: where the blocks of its INCREMENTAL file begin
  // Blocks below below_ that have no entry come from the full file, which has full_length_ of them; those behind its
  // end are lost or zero.
  uint32_t below_ = 0;
  std::optional<uint16_t> full_backup_;
  uint32_t full_length_ = 0;
  std::optional<Error> lost_because_;
};

// Fed with the files of one name, from the newest backup to the oldest that matters.
class BlockMapBuilder {
 public:
  BlockMapBuilder(const IncrementalHeader& newest, uint16_t backup);

  // Whether an older file could still add something.
  [[nodiscard]] bool WantsOlder() const { return left_ > 0; }
  void AddIncremental(const IncrementalHeader& header, uint16_t backup);
  // The last step where something is wanted still: it is in the full file, of `size` bytes, and zero behind its end; or
  // lost; or, with both, lost behind the end of the full file.
  void EndWithFull(uint16_t backup, uint64_t size);
  void EndLost(Error why);
  // After EndWithFull: whether something is wanted behind its end.
  [[nodiscard]] bool ReachesBehindFull() const { return map_.full_length_ < map_.below_; }

  [[nodiscard]] BlockMap Build() &&;

 private:
  struct Entry {
    uint32_t block;
    uint32_t place;
    uint16_t backup;
  };

  void Add(const Entry& entry);

  BlockMap map_;
  std::vector<Entry> entries_;
  std::vector<bool> found_;  // blocks below map_.below_
  uint32_t left_ = 0;        // those of them that were not found yet
};

}  // namespace pgstrata::incremental
