#include "volume/layer/blob.h"

#include <algorithm>
#include <cstring>

namespace pgstrata::layer {

vfs::FsResult<size_t> Blob::ReadRun(const BlockRun& run, uint64_t limit, uint64_t offset, MutableBytes out) {
  if (run.state == BlockState::kData) return data.ReadAt(offset, out);
  const bool shows_below = run.state == BlockState::kBelow && offset < limit;
  const uint64_t visible = shows_below ? std::min<uint64_t>(limit - offset, out.size()) : 0;
  if (visible < out.size()) std::memset(out.data() + visible, 0, out.size() - visible);
  if (visible != 0) {
    if (const auto status = below->ReadAt(offset, out.first(visible)); !status) return std::unexpected(status.error());
  }
  return out.size();
}

vfs::FsStatus Blob::ReadAt(uint64_t offset, MutableBytes out) {
  const uint64_t end = BlocksFor(offset + out.size());
  while (!out.empty()) {
    const BlockRun run = map.RunAt(BlockOf(offset), end);
    const MutableBytes piece = out.first(std::min<uint64_t>(run.end * kBlockSize - offset, out.size()));
    const auto count = ReadRun(run, base_limit, offset, piece);
    if (!count) return std::unexpected(count.error());
    if (*count != piece.size()) return std::unexpected(data.ReportLoss(offset + *count));
    offset += piece.size();
    out = out.subspan(piece.size());
  }
  return {};
}

uint64_t Blob::NextData(uint64_t offset) {
  while (offset < length) {
    const BlockRun run = map.RunAt(BlockOf(offset), BlocksFor(length));
    const uint64_t end = run.end * kBlockSize;
    if (run.state == BlockState::kData) return offset;
    if (run.state == BlockState::kBelow && offset < base_limit) {
      const uint64_t next = below->NextData(offset);
      if (next < std::min(end, base_limit)) return next;
    }
    offset = end;
  }
  return length;
}

}  // namespace pgstrata::layer
