// A datafile of a chain: pages from the newest backup that holds each.
#pragma once

#include <memory>
#include <string>

#include "backup/image/image.h"
#include "catalog/probackup/chain_reader.h"
#include "foundation/base/error.h"

namespace pgstrata::probackup {

class PagedFile final : public image::ImageFile {
 public:
  PagedFile(std::shared_ptr<ChainReader> reader, ChainFile file, uint64_t length)
      : reader_(std::move(reader)), file_(std::move(file)), length_(length) {}

  [[nodiscard]] uint64_t size() const override { return length_; }
  Status ReadAt(uint64_t offset, MutableBytes out) const override;
  // Passes over pages that no backup of the chain holds.
  [[nodiscard]] uint64_t NextData(uint64_t offset) const override;

 private:
  // Pages that follow each other, in the file and in the stream of one backup.
  struct Run {
    const FileIndex::Layer* layer = nullptr;
    uint32_t first = 0;
    uint32_t count = 0;
    uint64_t offset = 0;  // in the stream
    uint64_t bytes = 0;
  };

  Status ReadRun(const Run& run, uint64_t offset, MutableBytes out) const;
  Status ReadPage(const Run& run, uint32_t block, const PageIndex::Place& place, ByteView record,
                  MutableBytes page) const;
  Result<const FileIndex::Layer*> LayerOf(const FileIndex& index, uint32_t block) const;
  Result<Run> RunFrom(const FileIndex& index, const FileIndex::Layer& layer, uint32_t block, uint32_t end) const;
  [[nodiscard]] Error ExplainBlock(Error error, uint32_t block, const StoredCopy& copy) const;

  const std::shared_ptr<ChainReader> reader_;
  const ChainFile file_;
  const uint64_t length_;
};

}  // namespace pgstrata::probackup
