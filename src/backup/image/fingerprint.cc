#include "backup/image/fingerprint.h"

#include <bit>

namespace pgstrata::image {
namespace {

int64_t Nanoseconds(const timespec& time) { return static_cast<int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec; }

}  // namespace

Fingerprint Fingerprint::Of(const struct stat& status) {
  return {.device = status.st_dev,
          .inode = status.st_ino,
          .size = static_cast<uint64_t>(status.st_size),
          .modified_ns = Nanoseconds(status.st_mtim),
          .changed_ns = Nanoseconds(status.st_ctim)};
}

Fingerprint Fingerprint::WithoutLinks(const struct stat& status) {
  Fingerprint fingerprint = Of(status);
  fingerprint.changed_ns = 0;
  return fingerprint;
}

uint64_t Fingerprint::Digest() const {
  constexpr uint64_t kMultiplier = 0x9E3779B97F4A7C15;
  uint64_t digest = kMultiplier;
  for (const uint64_t part :
       {device, inode, size, std::bit_cast<uint64_t>(modified_ns), std::bit_cast<uint64_t>(changed_ns)}) {
    digest = std::rotl((digest ^ part) * kMultiplier, 31) * kMultiplier;
    digest ^= digest >> 29;
  }
  return digest;
}

}  // namespace pgstrata::image
