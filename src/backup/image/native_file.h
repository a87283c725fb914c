// One file of the source as an ImageFile, watched for change.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <memory>
#include <string>

#include "backup/image/image.h"

namespace pgstrata::image {

// What identifies the content of a file without reading it.
struct Fingerprint {
  uint64_t device = 0;
  uint64_t inode = 0;
  uint64_t size = 0;
  int64_t modified_ns = 0;
  int64_t changed_ns = 0;
  bool operator==(const Fingerprint&) const = default;

  static Fingerprint Of(const struct stat& status);
  // 64 bits that stand for it where 100,000 are kept.
  [[nodiscard]] uint64_t Digest() const;
};

// A file that stays open with the fingerprint it has now. Its ReadAt is kCorrupt once the fingerprint is another.
class NativeFile : public ImageFile {
 public:
  [[nodiscard]] virtual const Fingerprint& fingerprint() const = 0;
};

// `path` is a native path to a regular file; a link, or anything else than a file, is kCorrupt (it was a file when its
// directory was read).
Result<std::unique_ptr<NativeFile>> OpenNativeFile(const std::string& path);

}  // namespace pgstrata::image
