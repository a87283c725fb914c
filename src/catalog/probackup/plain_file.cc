#include "catalog/probackup/plain_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "foundation/base/text.h"
#include "postgres/pgdata/control_file.h"
#include "postgres/pgdata/crc32c.h"

namespace pgstrata::probackup {
namespace {

constexpr uint64_t kCheckedAtOnce = 1 << 20;

}  // namespace

bool HasChecksum(const ChainFile& file, ByteView content, uint32_t crc) {
  if (pgdata::Crc32c(content) == crc) return true;
  if (file.external != 0 || file.path != pgdata::kControlFilePath) return false;
  constexpr size_t kShortest = 64;
  constexpr size_t kLongest = 512;
  for (size_t length = kShortest; length + sizeof crc <= std::min(content.size(), kLongest); length += sizeof crc) {
    if (LoadLe<uint32_t>(content, length) == crc && pgdata::Crc32c(content.first(length)) == crc) return true;
  }
  return false;
}

Status PlainFile::Check(const StoredCopy& copy, const image::NativeFile& stream) const {
  if (copy.size > kCheckedAtOnce || checked_.load(std::memory_order_acquire)) return {};
  std::vector<std::byte> content(copy.size);
  PGS_TRY(stream.ReadAt(0, content));
  if (!HasChecksum(file_, content, copy.crc)) {
    return Fail(ErrorCode::kCorrupt,
                fmt::format("its checksum is {} and should be {}", pgdata::Crc32c(content), copy.crc));
  }
  checked_.store(true, std::memory_order_release);
  return {};
}

Status PlainFile::Read(const StoredCopy& copy, uint64_t offset, MutableBytes out) const {
  if (copy.size != length_) {
    return Fail(ErrorCode::kCorrupt,
                fmt::format("it has {} bytes there, and {} in the newest list", copy.size, length_));
  }
  PGS_ASSIGN(const auto stream, reader_->StreamOf(file_, copy));
  PGS_TRY(Check(copy, *stream));
  return stream->ReadAt(offset, out);
}

Status PlainFile::ReadAt(uint64_t offset, MutableBytes out) const {
  if (offset > length_ || length_ - offset < out.size()) {
    return Fail(ErrorCode::kIo, fmt::format("read beyond the end of a file of {} bytes", length_));
  }
  if (out.empty()) return {};
  const FileNode& node = reader_->node(file_);
  if (node.copies.empty()) {
    return Fail(ErrorCode::kCorrupt, fmt::format("no backup in the chain of {} holds the bytes of {}",
                                                 reader_->chain().backup(0).Name(), Quoted(file_.path)));
  }
  const StoredCopy& copy = node.copies.front();
  auto read = Read(copy, offset, out);
  if (read) return read;
  reader_->Forget(file_, copy);
  return Fail(reader_->Explain(std::move(read).error(), file_, copy));
}

}  // namespace pgstrata::probackup
