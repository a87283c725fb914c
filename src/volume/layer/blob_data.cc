#include "volume/layer/blob_data.h"

#include <fmt/core.h>

#include "foundation/base/log.h"
#include "foundation/base/text.h"
#include "volume/vfs/errno_map.h"

namespace pgstrata::layer {
namespace {

void NoteKeptSpace(const Status& status) {
  if (!status) log::Debug("space is not given back: {}", status.error().message());
}

}  // namespace

Result<std::shared_ptr<StorageFile>> BlobData::Pin() {
  if (broken_.load()) return Fail(ErrorCode::kIo, "what was written to " + Quoted(layer_.PathOf(node_)) + " is lost");
  return file_.Pin([this]() -> Result<std::shared_ptr<StorageFile>> {
    const bool known = exists_.load();
    const OpenMode mode = !layer_.writable() ? OpenMode::kRead : known ? OpenMode::kWrite : OpenMode::kCreate;
    auto file = layer_.storage().Open(layer_.PathOf(node_), mode);
    if (file && !known) {
      creation_.store(layer_.NoteCreation());
      exists_.store(true);
    }
    return file;
  });
}

vfs::FsResult<size_t> BlobData::ReadAt(uint64_t offset, MutableBytes out) {
  const auto file = Pin();
  if (!file) return std::unexpected(Report(file.error()));
  const auto count = (*file)->ReadAt(offset, out);
  if (!count) return std::unexpected(Report(count.error()));
  layer_.counters().layer_bytes_read.Add(*count);
  return *count;
}

vfs::FsStatus BlobData::WriteAt(uint64_t offset, ByteView bytes) {
  const auto file = Pin();
  if (!file) return std::unexpected(Report(file.error()));
  if (const auto status = (*file)->WriteAt(offset, bytes); !status) return std::unexpected(Report(status.error()));
  return {};
}

vfs::FsStatus BlobData::Reserve(uint64_t offset, uint64_t length) {
  const auto file = Pin();
  if (!file) return std::unexpected(Report(file.error()));
  const auto status = (*file)->Allocate(offset, length);
  if (!status && status.error().code() != ErrorCode::kUnsupported) return std::unexpected(Report(status.error()));
  return {};
}

vfs::FsStatus BlobData::Sync() {
  if (!exists_.load()) return {};
  const auto file = Pin();
  if (!file) return std::unexpected(Report(file.error()));
  if (const auto status = (*file)->DataSync(); !status) {
    broken_.store(true);
    log::Error("what was written to a changed file is lost: {}", status.error().message());
    return vfs::FsError(EIO);
  }
  const uint64_t creation = creation_.load();
  if (creation == 0) return {};
  if (const auto status = layer_.SyncNames(creation); !status) return std::unexpected(Report(status.error()));
  creation_.store(0);
  return {};
}

void BlobData::Discard(uint64_t offset, uint64_t length) {
  if (!exists_.load()) return;
  const auto file = Pin();
  NoteKeptSpace(file ? (*file)->PunchHole(offset, length) : std::unexpected(file.error()));
}

void BlobData::Truncate(uint64_t size) {
  if (!exists_.load()) return;
  const auto file = Pin();
  NoteKeptSpace(file ? (*file)->Truncate(size) : std::unexpected(file.error()));
}

void BlobData::Remove() {
  if (!exists_.load()) return;
  if (const auto status = layer_.storage().Remove(layer_.PathOf(node_)); !status) {
    log::Warning("a blob that nobody needs stays: {}", status.error().message());
  }
}

vfs::Errno BlobData::ReportLoss(uint64_t offset) {
  return Report(Error(ErrorCode::kCorrupt, fmt::format("{} lost its bytes from {} on, which were written before",
                                                       Quoted(layer_.PathOf(node_)), offset)));
}

vfs::Errno BlobData::Report(const Error& error) {
  const vfs::Errno shown = vfs::ToErrno(error);
  if (shown.value == ENOSPC) return shown;
  if (!reported_.exchange(true)) log::Error("a changed file fails: {}", error.message());
  return shown;
}

}  // namespace pgstrata::layer
