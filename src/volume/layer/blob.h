// The changed blocks of one file in one layer: a sparse data file at native offsets, and the map that says which blocks
// count. What the map does not call kData is never read from the data file, whatever is in it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "foundation/base/bytes.h"
#include "foundation/io/file.h"
#include "volume/layer/open_files.h"
#include "volume/layer/statistics.h"
#include "volume/vfs/file_system.h"

namespace pgstrata::layer {

// Where the blobs of one layer lie, and what they share. Safe from several threads.
class BlobStore {
 public:
  // `directory` exists.
  BlobStore(std::string directory, OpenFiles& open_files, Counters& counters)
      : directory_(std::move(directory)), open_files_(open_files), counters_(counters) {}

  uint64_t NewId() { return last_id_.fetch_add(1) + 1; }
  [[nodiscard]] std::string PathOf(uint64_t id) const;
  [[nodiscard]] const std::string& directory() const { return directory_; }
  OpenFiles& open_files() { return open_files_; }
  Counters& counters() { return counters_; }

 private:
  const std::string directory_;
  OpenFiles& open_files_;
  Counters& counters_;
  std::atomic<uint64_t> last_id_ = 0;
};

// The data file of a blob. It comes into being with the first write. Failures are logged once per file, a full disk
// apart. Reads are safe beside everything; its owner lets one thread at a time do the rest.
class BlobData {
 public:
  explicit BlobData(BlobStore& store) : store_(store), file_(store.open_files()) {}

  // How many of out.size() bytes the file has from `offset` on: fewer only while it is being truncated.
  vfs::FsResult<size_t> ReadAt(uint64_t offset, MutableBytes out);
  // All of `bytes`, or fails and may have written a part. ENOSPC where the disk is full.
  vfs::FsStatus WriteAt(uint64_t offset, ByteView bytes);
  // The file has lost bytes that its map names: somebody else has changed it.
  vfs::Errno ReportLoss(uint64_t offset);
  // Give space back. Best effort: what they fail to free is never read again.
  void Discard(uint64_t offset, uint64_t length);
  void Truncate(uint64_t size);
  // Removes the file from the disk.
  void Remove();

 private:
  Result<std::shared_ptr<io::File>> Pin();
  vfs::Errno Report(const Error& error);

  BlobStore& store_;
  CachedFile<io::File> file_;
  std::atomic<uint64_t> id_ = 0;  // 0: there is no file yet
  std::atomic<bool> reported_ = false;
};

}  // namespace pgstrata::layer
