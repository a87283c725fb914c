// The unpacked content of compressed WAL segments, as much of it as may lie in memory at once.
//
// A file of the mount stays open, and thousands of files may be open: a segment that each of them held would be
// gigabytes. So an open file holds none; it reads through this cache, and what was dropped is unpacked again. WAL is
// read in order, by one process: few segments are enough.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <vector>

#include "foundation/base/bytes.h"
#include "foundation/base/error.h"

namespace pgstrata::image {

// Safe from several threads at once; only one of them unpacks at a time, so that no more than one segment is beyond the
// limit.
class UnpackedSegments {
 public:
  using Unpack = std::function<Result<std::vector<std::byte>>()>;

  static constexpr uint64_t kDefaultLimit = 64ULL << 20;

  // Holds at most `limit` bytes, or one segment where that is larger. Those that were not used for the longest time go
  // first.
  explicit UnpackedSegments(uint64_t limit = kDefaultLimit) : limit_(limit) {}

  // Calls `use` with the content that stands under `key`, which `unpack` makes where it is not at hand. The key names
  // the file and its state: whoever has the same key has the same content. Fails as they do.
  Status Use(const std::string& key, const Unpack& unpack, const std::function<Status(ByteView)>& use);

  // Bytes that are held.
  [[nodiscard]] uint64_t bytes() const;

 private:
  struct Held {
    std::string key;
    std::vector<std::byte> content;
  };

  void MakeRoom(uint64_t size);

  const uint64_t limit_;
  mutable std::mutex mutex_;
  // Guarded by mutex_: the last used first, and the sum of their sizes.
  std::list<Held> held_;
  uint64_t bytes_ = 0;
};

}  // namespace pgstrata::image
