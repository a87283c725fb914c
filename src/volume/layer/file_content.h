// The bytes of one regular file: what the topmost layer has of it, above what lower layers have, above a file of the
// image.
//
// What a byte at `offset` < length is, is decided in this order by the newest blob:
//   1. its block is kData in the map: what the blob's data file holds;
//   2. its block is kZero: zero;
//   3. offset < base_limit: what lies below the blob;
//   4. otherwise: zero.
// Truncating lowers base_limit for good, so that extending the file again shows zeros and never old bytes.
//
// A file that was not changed has no blob. The first change after another layer came on top begins a new one above
// those that there are; the old one is frozen then.
//
// Locks, in this order: sync_mutex_, change_mutex_, state_mutex_ (and below them those of CachedFile, OpenFiles and
// LayerLog). A change holds change_mutex_ throughout, its reading and writing of files included, and state_mutex_ for
// the moment in which it becomes visible. A reader holds state_mutex_ shared while it looks up where the bytes are, and
// nothing while it reads them: it waits neither for a write nor for another read. What it then reads is what was there
// at some time during the read; a truncation that cut the data file under it is noticed, and it looks again. Sync holds
// sync_mutex_ throughout and change_mutex_ before and after fdatasync, not during it.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <vector>

#include "foundation/base/bytes.h"
#include "volume/layer/base_file.h"
#include "volume/layer/blob.h"
#include "volume/layer/file_limits.h"
#include "volume/layer/layer_stack.h"
#include "volume/vfs/file_system.h"

namespace pgstrata::layer {

// Safe from several threads. Everything referred to outlives it. Those that change are called between changes of the
// stack (Volume's gate), the others at any time.
class FileContent {
 public:
  // The content of `base`, or an empty file where that is null.
  FileContent(LayerStack& stack, uint64_t node, std::shared_ptr<BaseFile> base = nullptr);
  // What the logs of the layers say: `newest` stands above all the others.
  FileContent(LayerStack& stack, uint64_t node, std::shared_ptr<BaseFile> base, std::shared_ptr<Blob> newest);

  struct Extent {
    uint64_t size = 0;
    uint64_t blocks = 0;  // of 4 KiB; those of the image count as if it had no holes
  };
  [[nodiscard]] Extent extent() const;
  // The image's file that it began as, or null.
  [[nodiscard]] const BaseFile* base() const { return base_.get(); }

  vfs::FsResult<size_t> Read(uint64_t offset, MutableBytes out);
  // All of `bytes`, or an error after a part of them. Until the map names them, new blocks are not seen by anybody: a
  // failed write leaves the old bytes in every block that was not in the layer yet. What failed behind the end of the
  // file is EIO to read until it is written or cut off: a kernel that writes back late takes the file for as long as it
  // was to be, and would show zeros.
  vfs::FsStatus Write(uint64_t offset, ByteView bytes);
  // [offset, offset + length) becomes zeros; extends the file as Write does. Gives space back.
  vfs::FsStatus WriteZeros(uint64_t offset, uint64_t length);
  vfs::FsStatus Resize(uint64_t size);
  // fallocate(2). In a durable volume space is reserved where the host can do that; else where the disk has not the
  // room now, it is ENOSPC, and later a write may still fail.
  vfs::FsStatus Allocate(vfs::AllocationMode mode, uint64_t offset, uint64_t length);
  // Holes of the image are found where they begin, its data count as one piece.
  vfs::FsResult<uint64_t> Seek(uint64_t offset, vfs::SeekTarget target);
  // Nobody can read the file any more. Its data file is removed: at once in an ephemeral volume, else by DiscardFreed,
  // or when the layer is opened again.
  void Remove();

  // The rest is for durable volumes.
  // What was written before the call is in data files that are durable, and in records of the logs. The records are
  // durable when LayerStack::SyncTo(log_position()) has returned.
  vfs::FsStatus Sync();
  // Whether Sync has anything to do.
  [[nodiscard]] bool Owes();
  // Behind the last record about this file's bytes.
  [[nodiscard]] uint64_t log_position() const { return log_position_.load(); }
  // Gives back space that was freed by changes whose records are durable. True when nothing is left to give back.
  bool DiscardFreed();
  [[nodiscard]] uint64_t memory() const;

 private:
  // Where the bytes of a read are, as of one moment.
  struct Snapshot {
    static constexpr size_t kMaxRuns = 16;
    std::shared_ptr<Blob> blob;  // null: everything is in base_
    uint64_t size = 0;
    uint64_t base_limit = 0;
    uint64_t cuts = 0;
    size_t run_count = 0;
    std::array<BlockRun, kMaxRuns> runs;
  };
  // Space of a data file that may be given back when the log is durable up to `position`.
  struct Freed {
    std::shared_ptr<Blob> blob;
    uint64_t position = 0;
    uint64_t begin = 0;  // blocks
    uint64_t end = 0;
  };
  // The runs that hold [offset, min(offset + length, size)), as many as fit.
  [[nodiscard]] Snapshot Look(uint64_t offset, uint64_t length) const;
  // Whether the data file may have become shorter since.
  [[nodiscard]] bool IsCutSince(const Snapshot& snapshot) const;
  // One pass of a read: how many bytes of `out` it filled, 0 at the end of the file. Nothing when it has to look again.
  vfs::FsResult<std::optional<size_t>> ReadOnce(uint64_t offset, MutableBytes out);
  vfs::FsResult<size_t> ReadRun(const Snapshot& found, const BlockRun& run, uint64_t offset, MutableBytes out);

  // All of these with change_mutex_ held. Top comes first: the blob of the topmost layer, made if it is missing; the
  // others are about it.
  Blob& Top();
  vfs::FsStatus WriteInBlock(uint64_t offset, ByteView bytes);
  vfs::FsStatus WriteBlocks(uint64_t first, ByteView bytes, uint64_t end_of_write);
  [[nodiscard]] bool HasRoom(uint64_t begin, uint64_t end) const;
  vfs::FsStatus WriteData(uint64_t first, ByteView bytes);
  vfs::FsStatus Zero(uint64_t offset, uint64_t end);
  vfs::FsStatus ZeroInBlock(uint64_t offset, uint64_t length);
  void ZeroBlocks(uint64_t begin, uint64_t end);
  vfs::FsStatus Shrink(uint64_t size);
  vfs::FsStatus PrepareTail(uint64_t end);
  void Grow(uint64_t size);
  // Calls `change` with state_mutex_ held, then counts what it did.
  template <typename Change>
  void Apply(Change&& change);
  void SetData(uint64_t begin, uint64_t end);
  void Free(uint64_t begin, uint64_t end);
  void NoteLost(uint64_t begin, uint64_t end);
  void NoteWritten(uint64_t begin, uint64_t end);
  void AppendLength(Blob& blob, uint64_t size);
  void AppendSynced(Blob& blob);
  void NotePosition(uint64_t position);

  vfs::FsStatus SyncFrozen();
  vfs::FsStatus SyncTop();

  LayerStack& stack_;
  const uint64_t node_;
  const std::shared_ptr<BaseFile> base_;  // null where there is nothing

  std::mutex sync_mutex_;
  std::mutex change_mutex_;
  mutable std::shared_mutex state_mutex_;
  // Written with change_mutex_ and state_mutex_ held, so read with either; so are the map, the lengths and the cuts of
  // the blob while it is that of the topmost layer:
  std::shared_ptr<Blob> newest_;  // null: the file is base_, or empty
  // Guarded by change_mutex_:
  std::vector<std::shared_ptr<Blob>> owing_;  // frozen ones, the lowest first; what they owe is guarded by sync_mutex_
  std::vector<Freed> freed_;
  bool removed_ = false;
  std::atomic<uint64_t> log_position_ = 0;
  // Bytes behind the end of the file that could not be written lie in [lost_begin_, lost_end_). Changed with
  // change_mutex_ held:
  std::atomic<uint64_t> lost_begin_ = UINT64_MAX;
  std::atomic<uint64_t> lost_end_ = 0;
};

}  // namespace pgstrata::layer
