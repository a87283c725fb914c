#include "foundation/io/uncached_reader.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <string>

namespace pgstrata::io {
namespace {

constexpr uint64_t kAlignment = 4096;
constexpr long kXfsMagic = 0x58465342;  // linux/magic.h has it from 5.15 on

// cachestat(2), which Debian 12's headers do not know.
#ifdef SYS_cachestat
constexpr long kCacheStat = SYS_cachestat;
#else
constexpr long kCacheStat = 451;
#endif
struct CacheRange {
  uint64_t offset;
  uint64_t length;
};
struct CacheCounts {  // of pages
  uint64_t cached;
  uint64_t dirty;
  uint64_t being_written;
  uint64_t evicted;
  uint64_t recently_evicted;
};

std::optional<CacheCounts> WhatIsCached(int fd, uint64_t offset, uint64_t length) {
  const CacheRange range{offset, length};
  CacheCounts counts{};
  if (::syscall(kCacheStat, fd, &range, &counts, 0) != 0) return std::nullopt;
  return counts;
}

bool IsAligned(uint64_t offset, MutableBytes out) {
  return !out.empty() && (offset | out.size() | reinterpret_cast<uintptr_t>(out.data())) % kAlignment == 0;
}

bool IsKnownFileSystem(int fd) {
  struct statfs found{};
  if (::fstatfs(fd, &found) != 0) return false;
  return found.f_type == EXT4_SUPER_MAGIC || found.f_type == kXfsMagic || found.f_type == BTRFS_SUPER_MAGIC;
}

// Through /proc: the path may lead to another file by now.
UniqueFd OpenForDirectReads(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || !IsKnownFileSystem(fd) || !WhatIsCached(fd, 0, kAlignment)) return {};
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  return UniqueFd(::open(path.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC | (flags & O_NOATIME)));
}

ssize_t DirectRead(int fd, uint64_t offset, MutableBytes out) {
  ssize_t count = 0;
  do {
    count = ::pread(fd, out.data(), out.size(), static_cast<off_t>(offset));
  } while (count < 0 && errno == EINTR);
  return count;
}

}  // namespace

int UncachedReader::DirectDescriptor() const {
  std::call_once(opened_, [this] { direct_ = OpenForDirectReads(file_.fd()); });
  return refused_.load(std::memory_order_relaxed) ? -1 : direct_.get();
}

bool UncachedReader::IsBetterDirect(uint64_t offset, MutableBytes out) const {
  if (!IsAligned(offset, out) || DirectDescriptor() < 0) return false;
  const auto counts = WhatIsCached(file_.fd(), offset, out.size());
  if (!counts) {
    refused_.store(true);
    return false;
  }
  static const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  // A direct read would wait until what is dirty has been written.
  return counts->cached * page < out.size() && counts->dirty == 0 && counts->being_written == 0;
}

Result<size_t> UncachedReader::ReadAt(uint64_t offset, MutableBytes out) const {
  size_t done = 0;
  if (IsBetterDirect(offset, out)) {
    const ssize_t count = DirectRead(direct_.get(), offset, out);
    if (count > 0) done = static_cast<size_t>(count);
    if (count < 0 && (errno == EINVAL || errno == EOPNOTSUPP)) refused_.store(true);
  }
  if (done == out.size()) return done;
  // The end of the file, a short or refused direct read, or a failed one: an ordinary read says what is the matter.
  PGS_ASSIGN(const size_t rest, file_.ReadAt(offset + done, out.subspan(done)));
  return done + rest;
}

}  // namespace pgstrata::io
