// The files of a repository, opened when they are read: a bounded number of them at a time, each watched for change.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "backup/image/native_file.h"
#include "foundation/base/bytes.h"
#include "foundation/base/error.h"
#include "foundation/base/lru_cache.h"
#include "foundation/codec/byte_source.h"

namespace pgstrata::pgbackrest {

// A run of bytes of one stored file.
struct StoredRange {
  std::string path;  // relative to the repository's directory: "backup/main/20261120-210437F/bundle/1"
  uint64_t offset = 0;
  uint64_t size = 0;
};

// Safe from several threads at once.
class StoredFiles {
 public:
  static constexpr size_t kMostOpen = 64;

  // `root` is the repository's directory, absolute.
  explicit StoredFiles(std::string root) : root_(std::move(root)), open_(kMostOpen) {}

  // Fills `out` from `offset` of the file. kCorrupt where the file is missing, too short, or not the one any more that
  // was opened first.
  Status Read(const std::string& path, uint64_t offset, MutableBytes out) const;
  Result<std::vector<std::byte>> ReadRange(const StoredRange& range) const;
  // The same in steps. Does not own `this`.
  [[nodiscard]] std::unique_ptr<codec::ByteSource> Source(StoredRange range) const;
  // kCorrupt where the file is missing.
  [[nodiscard]] Result<uint64_t> SizeOf(const std::string& path) const;

  // What is below the directory, file by file, named from its last component on; a directory that is missing is said to
  // be. Each file is watched as it is now, unless it was opened before.
  Status VisitParts(const std::string& directory, const image::PartVisitor& visit) const;

  [[nodiscard]] const std::string& root() const { return root_; }

 private:
  [[nodiscard]] Result<std::shared_ptr<const image::NativeFile>> Open(const std::string& path) const;
  [[nodiscard]] Result<std::unique_ptr<image::NativeFile>> OpenAnew(const std::string& path) const;

  const std::string root_;
  mutable LruCache<image::NativeFile> open_;

  mutable std::mutex mutex_;
  // Guarded by mutex_: of every file that was ever opened the digest of its first fingerprint.
  mutable std::unordered_map<std::string, uint64_t> seen_;
};

}  // namespace pgstrata::pgbackrest
