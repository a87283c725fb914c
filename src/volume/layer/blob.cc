#include "volume/layer/blob.h"

#include <fcntl.h>
#include <fmt/core.h>

#include "foundation/base/log.h"
#include "foundation/io/directory.h"
#include "volume/vfs/errno_map.h"

namespace pgstrata::layer {
namespace {

void NoteKeptSpace(const Status& status) {
  if (!status) log::Debug("space is not given back: {}", status.error().message());
}

}  // namespace

std::string BlobStore::PathOf(uint64_t id) const { return fmt::format("{}/{:x}", directory_, id); }

Result<std::shared_ptr<io::File>> BlobData::Pin() {
  return file_.Pin([this]() -> Result<std::shared_ptr<io::File>> {
    const uint64_t known = id_.load();
    const uint64_t id = known != 0 ? known : store_.NewId();
    const int flags = known != 0 ? O_RDWR : O_RDWR | O_CREAT | O_EXCL;
    PGS_ASSIGN(io::File file, io::File::Open(store_.PathOf(id), flags));
    id_.store(id);
    return std::make_shared<io::File>(std::move(file));
  });
}

vfs::FsResult<size_t> BlobData::ReadAt(uint64_t offset, MutableBytes out) {
  const auto file = Pin();
  if (!file) return std::unexpected(Report(file.error()));
  const auto count = (*file)->ReadAt(offset, out);
  if (!count) return std::unexpected(Report(count.error()));
  store_.counters().layer_bytes_read.Add(*count);
  return *count;
}

vfs::FsStatus BlobData::WriteAt(uint64_t offset, ByteView bytes) {
  const auto file = Pin();
  if (!file) return std::unexpected(Report(file.error()));
  if (const auto status = (*file)->WriteAt(offset, bytes); !status) return std::unexpected(Report(status.error()));
  return {};
}

void BlobData::Discard(uint64_t offset, uint64_t length) {
  if (id_.load() == 0) return;
  const auto file = Pin();
  NoteKeptSpace(file ? (*file)->PunchHole(offset, length) : std::unexpected(file.error()));
}

void BlobData::Truncate(uint64_t size) {
  if (id_.load() == 0) return;
  const auto file = Pin();
  NoteKeptSpace(file ? (*file)->Truncate(size) : std::unexpected(file.error()));
}

void BlobData::Remove() {
  const uint64_t id = id_.load();
  if (id == 0) return;
  if (const auto status = io::RemoveFile(store_.PathOf(id)); !status) {
    log::Warning("a blob that nobody needs stays: {}", status.error().message());
  }
}

vfs::Errno BlobData::ReportLoss(uint64_t offset) {
  return Report(Error(ErrorCode::kCorrupt, fmt::format("\"{}\" lost its bytes from {} on, which were written before",
                                                       store_.PathOf(id_.load()), offset)));
}

vfs::Errno BlobData::Report(const Error& error) {
  const vfs::Errno shown = vfs::ToErrno(error);
  if (shown.value == ENOSPC) return shown;
  if (!reported_.exchange(true)) log::Error("a changed file fails: {}", error.message());
  return shown;
}

}  // namespace pgstrata::layer
