// The bytes of one regular file: blocks of a blob above a file of the image, under one authoritative length.
//
// What a byte at `offset` < size is, is decided in this order:
//   1. its block is kData in the map: what the blob's data file holds;
//   2. its block is kZero: zero;
//   3. offset < base_limit: what the image's file holds;
//   4. otherwise: zero.
// Truncating lowers base_limit for good, so that extending the file again shows zeros and never old bytes.
//
// Locks, in this order: change_mutex_, state_mutex_ (and below them those of CachedFile and OpenFiles). A change holds
// change_mutex_ throughout, its reading and writing of files included, and state_mutex_ for the moment in which it
// becomes visible. A reader holds state_mutex_ shared while it looks up where the bytes are, and nothing while it reads
// them: it waits neither for a write nor for another read. What it then reads is what was there at some time during the
// read; a truncation that cut the data file under it is noticed by cuts_, and it looks again.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>

#include "foundation/base/bytes.h"
#include "volume/layer/base_file.h"
#include "volume/layer/blob.h"
#include "volume/layer/block_map.h"
#include "volume/vfs/file_system.h"

namespace pgstrata::layer {

// Where ext4 ends, and with it what a data file can hold.
constexpr uint64_t kMaxFileSize = (uint64_t{1} << 44) - kBlockSize;

// Safe from several threads. Everything referred to outlives it.
class FileContent {
 public:
  // An empty file.
  explicit FileContent(BlobStore& store) : store_(store), data_(store) {}
  // The content of `base`.
  FileContent(BlobStore& store, std::unique_ptr<BaseFile> base);
  ~FileContent();

  struct Extent {
    uint64_t size = 0;
    uint64_t blocks = 0;  // of 4 KiB; those of the image count as if it had no holes
  };
  [[nodiscard]] Extent extent() const;

  vfs::FsResult<size_t> Read(uint64_t offset, MutableBytes out);
  // All of `bytes`, or an error after a part of them. Until the map names them, new blocks are not seen by anybody: a
  // failed write leaves the old bytes in every block that was not in the layer yet.
  vfs::FsStatus Write(uint64_t offset, ByteView bytes);
  // [offset, offset + length) becomes zeros; extends the file as Write does. Gives space back.
  vfs::FsStatus WriteZeros(uint64_t offset, uint64_t length);
  vfs::FsStatus Resize(uint64_t size);
  // fallocate(2). Space is not reserved: where the disk has not the room now, it is ENOSPC, later a write may still
  // fail.
  vfs::FsStatus Allocate(vfs::AllocationMode mode, uint64_t offset, uint64_t length);
  // Holes of the image are found where they begin, its data count as one piece.
  vfs::FsResult<uint64_t> Seek(uint64_t offset, vfs::SeekTarget target);
  // Removes the blob: nobody can read the file any more.
  void Remove();

 private:
  // Where the bytes of a read are, as of one moment.
  struct Snapshot {
    static constexpr size_t kMaxRuns = 16;
    uint64_t size = 0;
    uint64_t base_limit = 0;
    uint64_t cuts = 0;
    size_t run_count = 0;
    std::array<BlockRun, kMaxRuns> runs;
  };
  // The runs that hold [offset, min(offset + length, size)), as many as fit.
  [[nodiscard]] Snapshot Look(uint64_t offset, uint64_t length) const;
  // Whether the data file may have become shorter since.
  [[nodiscard]] bool IsCutSince(const Snapshot& snapshot) const;
  // One pass of a read: how many bytes of `out` it filled, 0 at the end of the file. Nothing when it has to look again.
  vfs::FsResult<std::optional<size_t>> ReadOnce(uint64_t offset, MutableBytes out);
  vfs::FsStatus ReadBelow(uint64_t offset, uint64_t base_limit, MutableBytes out);

  // All of these with change_mutex_ held.
  vfs::FsStatus WriteInBlock(uint64_t offset, ByteView bytes);
  vfs::FsStatus WriteBlocks(uint64_t first, ByteView bytes, uint64_t end_of_write);
  vfs::FsStatus Zero(uint64_t offset, uint64_t end);
  vfs::FsStatus ZeroInBlock(uint64_t offset, uint64_t length);
  void ZeroBlocks(uint64_t begin, uint64_t end);
  // Calls `change` with state_mutex_ held, then counts what it did.
  template <typename Change>
  void Apply(Change&& change);

  BlobStore& store_;
  const std::unique_ptr<BaseFile> base_;  // null where there is nothing below
  BlobData data_;

  std::mutex change_mutex_;
  mutable std::shared_mutex state_mutex_;
  // Written with both held, so read with either:
  BlockMap map_;             // kZero only below base_limit_; kBelow from size_ on
  uint64_t size_ = 0;        // the bytes from here to the end of a kData block are zeros
  uint64_t base_limit_ = 0;  // <= size_, <= base_->size()
  uint64_t cuts_ = 0;        // how often the data file became shorter
};

}  // namespace pgstrata::layer
