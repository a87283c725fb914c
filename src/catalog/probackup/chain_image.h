// A tree of files of a chain as an Image: PGDATA, or an external directory.
//
// Its names, kinds, modes and sizes come from the newest file list, never from what lies in the catalog's directories.
// tablespace_map and database_map, which a restore does not write, are not shown; tablespaces are directories.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "backup/image/image.h"
#include "catalog/probackup/chain_reader.h"
#include "catalog/probackup/reader_lock.h"

namespace pgstrata::probackup {

class ChainImage final : public image::Image {
 public:
  // `lock` may be null.
  ChainImage(std::shared_ptr<ChainReader> reader, uint32_t external, std::shared_ptr<ReaderLock> lock,
             std::string name);

  [[nodiscard]] const std::string& name() const override { return name_; }
  Result<image::Entry> Stat(std::string_view path) const override;
  Result<std::vector<image::Entry>> List(std::string_view directory) const override;
  Result<std::unique_ptr<image::ImageFile>> Open(std::string_view path) const override;
  // Of each backup its content as backup.control says it, its list and its page header map; then the stored files.
  Status VisitParts(const image::PartVisitor& visit) const override;
  [[nodiscard]] Result<uint64_t> LogicalBytes() const override { return reader_->ListedBytes(external_); }
  // The process that goes on with it is registered as a reader too.
  void BeginReading() const override {
    if (lock_) lock_->KeepForThisProcess();
  }
  void EndReading() const override {
    if (lock_) lock_->Release();
  }

 private:
  Result<uint32_t> Find(std::string_view path) const;
  Result<image::Entry> EntryOf(uint32_t number, std::string_view path) const;

  const std::shared_ptr<ChainReader> reader_;
  const uint32_t external_;
  const std::shared_ptr<ReaderLock> lock_;
  const std::string name_;
  image::Entry pattern_;  // what all entries have in common: owner and time
};

}  // namespace pgstrata::probackup
