// What identifies the content of a file of this machine without reading it.
#pragma once

#include <sys/stat.h>

#include <cstdint>

namespace pgstrata::image {

struct Fingerprint {
  uint64_t device = 0;
  uint64_t inode = 0;
  uint64_t size = 0;
  int64_t modified_ns = 0;
  int64_t changed_ns = 0;
  bool operator==(const Fingerprint&) const = default;

  static Fingerprint Of(const struct stat& status);
  // Without what is another once the file gets another name: its ctime.
  static Fingerprint WithoutLinks(const struct stat& status);
  // 64 bits that stand for it where 100,000 are kept.
  [[nodiscard]] uint64_t Digest() const;
};

}  // namespace pgstrata::image
