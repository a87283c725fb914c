// Where in a datafile's stream each page is kept: a stream is records of {u32 block, i32 size} and a payload
// (docs/format/pg_probackup.md). Built once for each file of each backup and kept in memory, so it is made of bits and
// 16-bit numbers: about 4 bytes a page.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "foundation/base/bytes.h"
#include "foundation/base/error.h"

namespace pgstrata::probackup {

constexpr uint32_t kPageBytes = 8192;
constexpr uint32_t kRecordHeaderBytes = 8;
// Of a segment file: what initdb makes, and the only size that pgstrata opens.
constexpr uint32_t kBlocksOfSegment = 131072;
// One entry of a page header map, uncompressed.
constexpr uint32_t kHeaderMapEntryBytes = 24;

// Constant once it is built, and then safe from several threads.
class PageIndex {
 public:
  // A page's record in the stream.
  struct Place {
    uint64_t offset = 0;  // of the record; the payload follows its header
    uint32_t size = 0;    // of the payload; kPageBytes: not compressed
    // What the page's checksum has to be, 0 for a page of zeros; nothing where nobody wrote it down.
    std::optional<uint16_t> checksum;
  };

  // From the entries of a page header map, the last of which marks the end of the stream; `stream_size` is what the
  // file list says of the stream. kCorrupt where the two do not fit, a size is none, or blocks do not ascend.
  static Result<PageIndex> FromHeaderMap(ByteView entries, uint64_t stream_size);

  // From the stream itself, of which every byte is read. `read` fills its buffer from the offset.
  struct Stream {
    uint64_t size = 0;
    bool padded = false;  // payloads are followed by bytes up to a multiple of 8: before 2.4.0
    std::function<Status(uint64_t offset, MutableBytes out)> read;
  };
  // kCorrupt as above, and what `read` fails with.
  static Result<PageIndex> FromStream(const Stream& stream);

  // `block` is any number.
  [[nodiscard]] bool Has(uint32_t block) const {
    return block < end_ && ((bits_[block / kGroup] >> (block % kGroup)) & 1U) != 0;
  }
  // For a block that it has.
  [[nodiscard]] Place PlaceOf(uint32_t block) const;
  // From the beginning of a record to the next, where its payload has `size` bytes.
  [[nodiscard]] uint64_t RecordBytes(uint32_t size) const;

  [[nodiscard]] uint32_t pages() const { return static_cast<uint32_t>(sizes_.size()); }
  // One more than the last block that it has.
  [[nodiscard]] uint32_t end() const { return end_; }
  // The file was cut to this many blocks before the pages of this stream came to it (before 2.4.0).
  [[nodiscard]] std::optional<uint32_t> cut_to() const { return cut_to_; }
  // CRC-32C of the stream, and of its payloads alone, where it was read.
  struct StreamCrc {
    uint32_t all = 0;
    uint32_t payloads = 0;
  };
  [[nodiscard]] const std::optional<StreamCrc>& stream_crc() const { return stream_crc_; }
  [[nodiscard]] uint64_t memory_bytes() const;

 private:
  static constexpr uint32_t kGroup = 64;

  PageIndex() = default;
  // In ascending order of blocks and offsets. False where the block or the size cannot be.
  bool Add(uint32_t block, int64_t size, uint64_t offset);
  void Finish();
  [[nodiscard]] uint32_t RankOf(uint32_t block) const;

  bool padded_ = false;
  uint32_t end_ = 0;
  std::vector<uint64_t> bits_;       // a bit for each block
  std::vector<uint32_t> ranks_;      // how many bits stand before each word of bits_
  std::vector<uint16_t> sizes_;      // by rank, payload bytes
  std::vector<uint16_t> checksums_;  // by rank; empty: not known
  std::vector<uint32_t> offsets_;    // of each kGroup-th rank
  // Where records do not follow each other: from this rank on, so many bytes more lie before. Of merged backups before
  // 2.4.0.
  std::vector<std::pair<uint32_t, uint64_t>> gaps_;
  uint64_t next_offset_ = 0;  // while it is built: where the next record is expected
  std::optional<uint32_t> cut_to_;
  std::optional<StreamCrc> stream_crc_;
};

}  // namespace pgstrata::probackup
