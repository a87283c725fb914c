// A file that pg_probackup keeps as it is: everything but the main forks of relations.
#pragma once

#include <atomic>
#include <memory>
#include <utility>

#include "backup/image/image.h"
#include "catalog/probackup/chain_reader.h"
#include "foundation/base/error.h"

namespace pgstrata::probackup {

class PlainFile final : public image::ImageFile {
 public:
  PlainFile(std::shared_ptr<ChainReader> reader, ChainFile file, uint64_t length)
      : reader_(std::move(reader)), file_(std::move(file)), length_(length) {}

  [[nodiscard]] uint64_t size() const override { return length_; }
  // Files up to a mebibyte are compared with the list's checksum before anything of them is given out; the larger ones
  // are those that PostgreSQL checks itself (WAL), or that only a verification reads whole.
  Status ReadAt(uint64_t offset, MutableBytes out) const override;

 private:
  Status Read(const StoredCopy& copy, uint64_t offset, MutableBytes out) const;
  Status Check(const StoredCopy& copy, const image::NativeFile& stream) const;

  const std::shared_ptr<ChainReader> reader_;
  const ChainFile file_;
  const uint64_t length_;
  mutable std::atomic<bool> checked_ = false;
};

// Whether `content` is what the list's checksum stands for. That of global/pg_control is the one inside it.
bool HasChecksum(const ChainFile& file, ByteView content, uint32_t crc);

}  // namespace pgstrata::probackup
