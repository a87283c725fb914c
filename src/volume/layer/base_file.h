// A file of the image as what lies below a blob: opened when it is needed, its failures logged once.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "backup/image/image.h"
#include "volume/layer/below.h"
#include "volume/layer/open_files.h"
#include "volume/layer/statistics.h"
#include "volume/vfs/file_system.h"

namespace pgstrata::layer {

// Safe from several threads.
class BaseFile final : public Below {
 public:
  // `size` is what the image says of the file at `path`. Everything referred to outlives it.
  BaseFile(const image::Image& image, std::string path, uint64_t size, OpenFiles& open_files, Counters& counters);

  // The only place where a volume reads bytes of the image.
  vfs::FsStatus ReadAt(uint64_t offset, MutableBytes out) override;
  uint64_t NextData(uint64_t offset) override;
  [[nodiscard]] uint64_t size() const override { return size_; }
  // In the image.
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  Result<std::shared_ptr<const image::ImageFile>> Pin();
  vfs::FsStatus Report(const Error& error);

  const image::Image& image_;
  const std::string path_;
  const uint64_t size_;
  Counters& counters_;
  CachedFile<const image::ImageFile> file_;
  // Of what was said of it in the log: the last message, and how many there were.
  std::atomic<size_t> last_reported_ = 0;
  std::atomic<uint32_t> reports_ = 0;
};

}  // namespace pgstrata::layer
