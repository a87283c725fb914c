#include "foundation/io/uncached_file.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

namespace pgstrata::io {
namespace {

constexpr uint64_t kAlignment = 4096;

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

bool IsAligned(uint64_t offset, MutableBytes out) {
  return !out.empty() && (offset | out.size() | reinterpret_cast<uintptr_t>(out.data())) % kAlignment == 0;
}

// Whether a direct read is the better one: some of the range is not in memory, and nothing of it waits to be written,
// which a direct read would wait for.
bool IsOnDiskOnly(int fd, uint64_t offset, uint64_t length) {
  const CacheRange range{offset, length};
  CacheCounts counts{};
  if (::syscall(kCacheStat, fd, &range, &counts, 0) != 0) return false;
  static const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  return counts.cached * page < length && counts.dirty == 0 && counts.being_written == 0;
}

}  // namespace

int UncachedFile::Direct() const {
  std::call_once(opened_, [this] {
    const int flags = ::fcntl(file_.fd(), F_GETFL);
    if (flags < 0) return;
    // Through /proc: the path may lead to another file by now.
    const std::string path = "/proc/self/fd/" + std::to_string(file_.fd());
    direct_ = UniqueFd(::open(path.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC | (flags & O_NOATIME)));
  });
  return direct_.get();
}

Result<size_t> UncachedFile::ReadAt(uint64_t offset, MutableBytes out) const {
  size_t done = 0;
  if (IsAligned(offset, out) && IsOnDiskOnly(file_.fd(), offset, out.size())) {
    if (const int direct = Direct(); direct >= 0) {
      const ssize_t count = ::pread(direct, out.data(), out.size(), static_cast<off_t>(offset));
      if (count > 0) done = static_cast<size_t>(count);
    }
  }
  if (done == out.size()) return done;
  // The end of the file, a short or refused direct read, or a failed one: an ordinary read says what is the matter.
  PGS_ASSIGN(const size_t rest, file_.ReadAt(offset + done, out.subspan(done)));
  return done + rest;
}

}  // namespace pgstrata::io
