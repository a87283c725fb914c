// The files of a chain's backups, opened as they are needed and a bounded number at a time, and the block maps that
// were made of them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "backup/image/image.h"
#include "catalog/incremental/block_map.h"
#include "catalog/incremental/chain.h"
#include "catalog/incremental/manifest_names.h"
#include "foundation/base/lru_cache.h"

namespace pgstrata::incremental {

// "base/5/1259" is "base/5/INCREMENTAL.1259".
std::string IncrementalPath(std::string_view path);

// What to say of a file that is shorter than the manifest of its backup says.
Error CutShort(const image::Image& backup, const std::string& path, uint64_t size, uint64_t listed_size);

// Safe from several threads at once.
class ChainFiles {
 public:
  explicit ChainFiles(std::vector<ChainBackup> chain);

  [[nodiscard]] const std::vector<ChainBackup>& chain() const { return chain_; }
  [[nodiscard]] uint16_t newest() const { return static_cast<uint16_t>(chain_.size() - 1); }
  [[nodiscard]] const image::Image& image(uint16_t backup) const { return *chain_[backup].image; }

  [[nodiscard]] const ManifestNames& listed(uint16_t backup) const { return *listed_[backup]; }

  // A file of one backup, links followed. It may stay open until others are needed more.
  Result<std::shared_ptr<const image::ImageFile>> Open(uint16_t backup, const std::string& path) const;
  // The map of the file that a restore writes to `path`, which is incremental in the newest backup. Reads the headers
  // of its INCREMENTAL files. What older backups lack is lost in the map, and no error.
  Result<std::shared_ptr<const BlockMap>> Map(const std::string& path) const;
  // Its length, from the newest header alone.
  Result<uint64_t> Size(const std::string& path) const;
  // Where Size() fails: what it was in the backup before, as far as can be told, and never zero. Whoever reads it is
  // to meet the error, and not to find the file empty.
  [[nodiscard]] uint64_t SupposedSize(const std::string& path) const;

 private:
  Result<BlockMap> MakeMap(const std::string& path) const;
  Status AddOlder(const std::string& path, BlockMapBuilder& builder) const;
  // A full file may end before the one that is shown, which then ends in zeros. An error where it was cut short.
  [[nodiscard]] Status CheckLength(uint16_t backup, const std::string& path, uint64_t size) const;

  const std::vector<ChainBackup> chain_;
  std::vector<std::unique_ptr<const ManifestNames>> listed_;  // constant; by backup
  mutable LruCache<image::ImageFile> files_;
  mutable LruCache<BlockMap> maps_;
  mutable LruCache<uint64_t> sizes_;
};

}  // namespace pgstrata::incremental
