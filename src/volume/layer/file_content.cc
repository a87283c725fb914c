#include "volume/layer/file_content.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

namespace pgstrata::layer {

FileContent::FileContent(LayerStack& stack, uint64_t node, std::shared_ptr<BaseFile> base)
    : stack_(stack), node_(node), base_(std::move(base)) {}

FileContent::FileContent(LayerStack& stack, uint64_t node, std::shared_ptr<BaseFile> base, std::shared_ptr<Blob> newest)
    : stack_(stack), node_(node), base_(std::move(base)), newest_(std::move(newest)) {}

FileContent::Extent FileContent::extent() const {
  const std::shared_lock lock(state_mutex_);
  if (!newest_) {
    const uint64_t size = base_ ? base_->size() : 0;
    return {.size = size, .blocks = BlocksFor(size)};
  }
  const BlockMap& map = newest_->map;
  const uint64_t base_blocks = BlocksFor(newest_->base_limit);
  return {.size = newest_->length, .blocks = base_blocks - map.CountPresent(base_blocks) + map.data_blocks()};
}

FileContent::Snapshot FileContent::Look(uint64_t offset, uint64_t length) const {
  Snapshot snapshot;
  const std::shared_lock lock(state_mutex_);
  snapshot.blob = newest_;
  if (newest_) {
    snapshot.size = newest_->length;
    snapshot.base_limit = newest_->base_limit;
    snapshot.cuts = newest_->cuts;
  } else {
    snapshot.size = snapshot.base_limit = base_ ? base_->size() : 0;
  }
  if (offset >= snapshot.size) return snapshot;
  const uint64_t end = BlocksFor(offset + std::min(length, snapshot.size - offset));
  if (!newest_) {
    snapshot.runs[snapshot.run_count++] = {BlockState::kBelow, BlockOf(offset), end};
    return snapshot;
  }
  for (uint64_t block = BlockOf(offset); block < end && snapshot.run_count < Snapshot::kMaxRuns;) {
    const BlockRun run = newest_->map.RunAt(block, end);
    snapshot.runs[snapshot.run_count++] = run;
    block = run.end;
  }
  return snapshot;
}

bool FileContent::IsCutSince(const Snapshot& snapshot) const {
  const std::shared_lock lock(state_mutex_);
  return newest_ != snapshot.blob || newest_->cuts != snapshot.cuts;
}

vfs::FsResult<size_t> FileContent::ReadRun(const Snapshot& found, const BlockRun& run, uint64_t offset,
                                           MutableBytes out) {
  if (found.blob) return found.blob->ReadRun(run, found.base_limit, offset, out);
  if (const auto status = base_->ReadAt(offset, out); !status) return std::unexpected(status.error());
  return out.size();
}

vfs::FsResult<std::optional<size_t>> FileContent::ReadOnce(uint64_t offset, MutableBytes out) {
  const Snapshot found = Look(offset, out.size());
  size_t done = 0;
  for (size_t i = 0; i < found.run_count; ++i) {
    const BlockRun& run = found.runs[i];
    const uint64_t at = offset + done;
    const uint64_t end = std::min(run.end * kBlockSize, found.size);
    const MutableBytes piece = out.subspan(done, std::min<uint64_t>(end - at, out.size() - done));
    const auto count = ReadRun(found, run, at, piece);
    if (!count) return std::unexpected(count.error());
    if (*count != piece.size()) {
      if (IsCutSince(found)) return std::nullopt;
      return std::unexpected(found.blob->data.ReportLoss(at + *count));
    }
    done += piece.size();
  }
  return done;
}

vfs::FsResult<size_t> FileContent::Read(uint64_t offset, MutableBytes out) {
  if (offset < lost_end_ && offset + out.size() > lost_begin_) return vfs::FsError(EIO);
  size_t done = 0;
  while (done < out.size()) {
    const auto count = ReadOnce(offset + done, out.subspan(done));
    if (!count) return std::unexpected(count.error());
    if (!*count) continue;
    if (**count == 0) break;
    done += **count;
  }
  return done;
}

vfs::FsResult<uint64_t> FileContent::Seek(uint64_t offset, vfs::SeekTarget target) {
  const bool want_data = target == vfs::SeekTarget::kData;
  for (uint64_t at = offset;;) {
    const Snapshot found = Look(at, kMaxFileSize);
    if (offset >= found.size) return vfs::FsError(ENXIO);
    if (at >= found.size) {
      if (want_data) return vfs::FsError(ENXIO);
      return found.size;
    }
    Below* below = found.blob ? found.blob->below.get() : base_.get();
    for (size_t i = 0; i < found.run_count; ++i) {
      const BlockRun& run = found.runs[i];
      uint64_t hole = at;  // [at, hole) is data
      uint64_t data = run.end * kBlockSize;
      if (run.state == BlockState::kData) {
        hole = std::exchange(data, at);
      } else if (run.state == BlockState::kBelow && at < found.base_limit) {
        const uint64_t visible = std::min(data, found.base_limit);
        const uint64_t next = below->NextData(at);
        if (next < visible) data = next;
        if (next == at) hole = visible;
      }
      if (want_data && data < run.end * kBlockSize) return data;
      if (!want_data && hole < run.end * kBlockSize) return std::min(hole, found.size);
      at = run.end * kBlockSize;
    }
  }
}

uint64_t FileContent::memory() const {
  uint64_t bytes = sizeof *this + (base_ ? sizeof *base_ : 0);
  std::shared_ptr<Blob> newest;
  {
    const std::shared_lock lock(state_mutex_);
    newest = newest_;
    if (newest) bytes += newest->map.memory();
  }
  if (newest) bytes += sizeof *newest;
  for (auto* below = newest ? dynamic_cast<const Blob*>(newest->below.get()) : nullptr; below != nullptr;) {
    bytes += sizeof *below + below->map.memory();
    below = dynamic_cast<const Blob*>(below->below.get());
  }
  return bytes;
}

}  // namespace pgstrata::layer
