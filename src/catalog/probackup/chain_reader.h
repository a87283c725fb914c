// The reading of a chain's files: page indexes and open files, shared by all its readers and bounded. An index is built
// at the first read of its file, from the page header map where that is sound, else from the stream.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>

#include "backup/image/image.h"
#include "catalog/probackup/chain.h"
#include "catalog/probackup/file_index.h"
#include "foundation/base/error.h"
#include "foundation/base/lru_cache.h"

namespace pgstrata::probackup {

// One file of the chain.
struct ChainFile {
  uint32_t external = 0;
  uint32_t number = 0;  // in the tree
  std::string path;

  [[nodiscard]] uint64_t key() const { return (static_cast<uint64_t>(external) << 32U) | number; }
};

// Safe from several threads.
class ChainReader : public std::enable_shared_from_this<ChainReader> {
 public:
  explicit ChainReader(std::shared_ptr<const Chain> chain);

  [[nodiscard]] const Chain& chain() const { return *chain_; }
  [[nodiscard]] const FileNode& node(const ChainFile& file) const {
    return chain_->tree(file.external).node(file.number);
  }

  // What the chain says of itself, and the files in its backups that a tree stands on (Image::VisitParts).
  Status VisitParts(uint32_t external, const image::PartVisitor& visit) const;
  // Of the files of a tree outside of pg_wal, as far as the lists say.
  [[nodiscard]] uint64_t ListedBytes(uint32_t external) const;

  // In bytes, as a restore would write it. Builds the index only where the lists do not say it: of files that grew
  // since the last backup that read every page, and before 2.4.0.
  Result<uint64_t> Length(const ChainFile& file);
  Result<std::unique_ptr<image::ImageFile>> Open(ChainFile file);

  // What follows is for the files that Open gives.
  Result<std::shared_ptr<const FileIndex>> IndexOf(const ChainFile& file);
  Result<std::shared_ptr<const image::NativeFile>> StreamOf(const ChainFile& file, const StoredCopy& copy);
  // A read of that stream failed.
  void Forget(const ChainFile& file, const StoredCopy& copy);
  // "in backup TOTJZ9: ", and what to do where the catalog changed.
  [[nodiscard]] Error Explain(Error error, const ChainFile& file, const StoredCopy& copy) const;

 private:
  // Of a backup's page header map, where files have theirs.
  static constexpr uint64_t kHeaderMapKey = ~0ULL;

  [[nodiscard]] uint64_t StreamKey(const ChainFile& file, const StoredCopy& copy) const;
  Result<FileIndex> BuildIndex(const ChainFile& file);
  FileIndex::Layer BuildLayer(const ChainFile& file, const StoredCopy& copy);
  Result<PageIndex> FromHeaderMap(const StoredCopy& copy);
  void WarnOfMap(const ChainFile& file, const StoredCopy& copy, const Error& error);
  // Whether the lists of pages of the increments alone tell that the last block of the newest list is stored.
  bool IncrementsHaveLastBlock(const ChainFile& file);
  Result<uint64_t> LengthFromIndex(const ChainFile& file);

  const std::shared_ptr<const Chain> chain_;
  LruCache<image::NativeFile, uint64_t> streams_;
  LruCache<FileIndex, uint64_t> indexes_;

  std::mutex mutex_;
  // Guarded by mutex_: lengths that were found out, by file; backups whose page header map was complained of.
  std::unordered_map<uint64_t, uint64_t> lengths_;
  std::set<uint32_t> warned_of_map_;
};

}  // namespace pgstrata::probackup
