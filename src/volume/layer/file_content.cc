#include "volume/layer/file_content.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

namespace pgstrata::layer {

FileContent::FileContent(BlobStore& store, std::unique_ptr<BaseFile> base)
    : store_(store), base_(std::move(base)), data_(store), size_(base_->size()), base_limit_(base_->size()) {}

FileContent::~FileContent() { store_.counters().layer_blocks.Subtract(map_.data_blocks()); }

FileContent::Extent FileContent::extent() const {
  const std::shared_lock lock(state_mutex_);
  const uint64_t base_blocks = BlocksFor(base_limit_);
  return {.size = size_, .blocks = base_blocks - map_.CountPresent(base_blocks) + map_.data_blocks()};
}

FileContent::Snapshot FileContent::Look(uint64_t offset, uint64_t length) const {
  Snapshot snapshot;
  const std::shared_lock lock(state_mutex_);
  snapshot.size = size_;
  snapshot.base_limit = base_limit_;
  snapshot.cuts = cuts_;
  if (offset >= size_) return snapshot;
  const uint64_t end = BlocksFor(offset + std::min(length, size_ - offset));
  for (uint64_t block = BlockOf(offset); block < end && snapshot.run_count < Snapshot::kMaxRuns;) {
    const BlockRun run = map_.RunAt(block, end);
    snapshot.runs[snapshot.run_count++] = run;
    block = run.end;
  }
  return snapshot;
}

vfs::FsStatus FileContent::ReadBelow(uint64_t offset, uint64_t base_limit, MutableBytes out) {
  const uint64_t visible = offset < base_limit ? std::min<uint64_t>(base_limit - offset, out.size()) : 0;
  if (visible < out.size()) std::memset(out.data() + visible, 0, out.size() - visible);
  if (visible == 0) return {};
  return base_->ReadAt(offset, out.first(visible));
}

bool FileContent::IsCutSince(const Snapshot& snapshot) const {
  const std::shared_lock lock(state_mutex_);
  return cuts_ != snapshot.cuts;
}

vfs::FsResult<std::optional<size_t>> FileContent::ReadOnce(uint64_t offset, MutableBytes out) {
  const Snapshot found = Look(offset, out.size());
  size_t done = 0;
  for (size_t i = 0; i < found.run_count; ++i) {
    const BlockRun& run = found.runs[i];
    const uint64_t at = offset + done;
    const uint64_t end = std::min(run.end * kBlockSize, found.size);
    const MutableBytes piece = out.subspan(done, std::min<uint64_t>(end - at, out.size() - done));
    switch (run.state) {
      case BlockState::kZero:
        std::memset(piece.data(), 0, piece.size());
        break;
      case BlockState::kBelow:
        if (const auto status = ReadBelow(at, found.base_limit, piece); !status) return std::unexpected(status.error());
        break;
      case BlockState::kData: {
        const auto count = data_.ReadAt(at, piece);
        if (!count) return std::unexpected(count.error());
        if (*count == piece.size()) break;
        if (IsCutSince(found)) return std::nullopt;
        return std::unexpected(data_.ReportLoss(at + *count));
      }
    }
    done += piece.size();
  }
  return done;
}

vfs::FsResult<size_t> FileContent::Read(uint64_t offset, MutableBytes out) {
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
    for (size_t i = 0; i < found.run_count; ++i) {
      const BlockRun& run = found.runs[i];
      uint64_t hole = at;  // [at, hole) is data
      uint64_t data = run.end * kBlockSize;
      if (run.state == BlockState::kData) {
        hole = std::exchange(data, at);
      } else if (run.state == BlockState::kBelow && at < found.base_limit) {
        const uint64_t visible = std::min(data, found.base_limit);
        const uint64_t next = base_->NextData(at);
        if (next < visible) data = next;
        if (next == at) hole = visible;
      }
      if (want_data && data < run.end * kBlockSize) return data;
      if (!want_data && hole < run.end * kBlockSize) return std::min(hole, found.size);
      at = run.end * kBlockSize;
    }
  }
}

}  // namespace pgstrata::layer
