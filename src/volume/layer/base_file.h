// A file of the image as what lies below a blob: opened when it is needed, its failures logged once.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "backup/image/image.h"
#include "volume/layer/open_files.h"
#include "volume/layer/statistics.h"
#include "volume/vfs/file_system.h"

namespace pgstrata::layer {

// Safe from several threads.
class BaseFile {
 public:
  // `size` is what the image says of the file at `path`. Everything referred to outlives it.
  BaseFile(const image::Image& image, std::string path, uint64_t size, OpenFiles& open_files, Counters& counters);

  // Fills `out` from [offset, offset + out.size()), which lies within [0, size()), or fails with EIO: never zeros in
  // place of what could not be read. The only place where a volume reads bytes of the image.
  vfs::FsStatus ReadAt(uint64_t offset, MutableBytes out);
  // ImageFile::NextData; where that cannot be told, `offset`.
  uint64_t NextData(uint64_t offset);
  [[nodiscard]] uint64_t size() const { return size_; }

 private:
  Result<std::shared_ptr<const image::ImageFile>> Pin();
  vfs::FsStatus Report(const Error& error);

  const image::Image& image_;
  const std::string path_;
  const uint64_t size_;
  Counters& counters_;
  CachedFile<const image::ImageFile> file_;
  std::atomic<bool> reported_ = false;
};

}  // namespace pgstrata::layer
