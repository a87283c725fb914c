// The data file of a blob: a sparse file at native offsets. What the blob's map does not call kData is never read from
// it, whatever is in it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "foundation/base/bytes.h"
#include "volume/layer/layer.h"
#include "volume/layer/open_files.h"
#include "volume/vfs/file_system.h"

namespace pgstrata::layer {

// It comes into being with the first write. Failures are logged once per file, a full disk apart. Reads are safe beside
// everything; its owner lets one thread at a time do the rest, Sync apart, which is safe beside writes.
class BlobData {
 public:
  // `exists`: the file is there, and a missing one is an error.
  BlobData(Layer& layer, uint64_t node, bool exists)
      : layer_(layer), node_(node), exists_(exists), file_(layer.open_files()) {}

  // How many of out.size() bytes the file has from `offset` on: fewer only while it is being truncated.
  vfs::FsResult<size_t> ReadAt(uint64_t offset, MutableBytes out);
  // All of `bytes`, or fails and may have written a part. ENOSPC where the disk is full.
  vfs::FsStatus WriteAt(uint64_t offset, ByteView bytes);
  // Reserves room on disk; success also where the host cannot. ENOSPC where there is none.
  vfs::FsStatus Reserve(uint64_t offset, uint64_t length);
  // The bytes that were written before the call, and the file's name, become durable. After a failure every other
  // operation fails with EIO: the kernel may have dropped what was written.
  vfs::FsStatus Sync();
  // The file has lost bytes that its map names: somebody else has changed it.
  vfs::Errno ReportLoss(uint64_t offset);
  // Give space back. Best effort: what they fail to free is never read again.
  void Discard(uint64_t offset, uint64_t length);
  void Truncate(uint64_t size);
  // Removes the file from the disk.
  void Remove();
  [[nodiscard]] bool exists() const { return exists_.load(); }

 private:
  Result<std::shared_ptr<StorageFile>> Pin();
  vfs::Errno Report(const Error& error);

  Layer& layer_;
  const uint64_t node_;
  std::atomic<bool> exists_;
  std::atomic<uint64_t> creation_ = 0;  // what Layer::SyncNames needs for its name; 0: it is durable
  std::atomic<bool> broken_ = false;    // a sync has failed
  std::atomic<bool> reported_ = false;
  CachedFile<StorageFile> file_;
};

}  // namespace pgstrata::layer
