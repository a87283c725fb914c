// Changing a file. Invariants of FileContent that every function here keeps, also when it fails half-way:
//   - a kData block is wholly in the data file: it is written whole before the map names it, completed from below;
//   - beyond size_, the rest of a kData block is zeros, and every later block is kBelow;
//   - a block of zeros where nothing but zeros would be read, or over the image, costs no space.
#include <algorithm>
#include <cstring>

#include "foundation/io/directory.h"
#include "volume/layer/file_content.h"

namespace pgstrata::layer {
namespace {

constexpr std::array<std::byte, kBlockSize> kZeros{};

bool IsZero(ByteView bytes) {
  return bytes.empty() ||
         (bytes[0] == std::byte{0} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

}  // namespace

template <typename Change>
void FileContent::Apply(Change&& change) {
  const std::unique_lock lock(state_mutex_);
  const uint64_t before = map_.data_blocks();
  change();
  store_.counters().layer_blocks.Add(map_.data_blocks() - before);  // wraps where there are fewer
}

void FileContent::Remove() {
  const std::scoped_lock lock(change_mutex_);
  Apply([this] { map_.ClearFrom(0); });
  data_.Remove();
}

vfs::FsStatus FileContent::Write(uint64_t offset, ByteView bytes) {
  if (bytes.empty()) return {};
  if (offset > kMaxFileSize || bytes.size() > kMaxFileSize - offset) return vfs::FsError(EFBIG);
  const std::scoped_lock lock(change_mutex_);
  while (!bytes.empty()) {
    const uint64_t in_block = offset % kBlockSize;
    const bool whole = in_block == 0 && bytes.size() >= kBlockSize;
    const uint64_t room = kBlockSize - in_block;
    const uint64_t count = whole ? bytes.size() - bytes.size() % kBlockSize : std::min<uint64_t>(room, bytes.size());
    const ByteView piece = bytes.first(count);
    const auto status = whole ? WriteBlocks(BlockOf(offset), piece, offset + count) : WriteInBlock(offset, piece);
    if (!status) return status;
    offset += count;
    bytes = bytes.subspan(count);
  }
  return {};
}

// A part of one block.
vfs::FsStatus FileContent::WriteInBlock(uint64_t offset, ByteView bytes) {
  const uint64_t block = BlockOf(offset);
  const uint64_t start = block * kBlockSize;
  const uint64_t end = offset + bytes.size();
  const BlockState state = map_.At(block);
  if (state == BlockState::kData) {
    if (const auto status = data_.WriteAt(offset, bytes); !status) return status;
    if (end > size_) Apply([&] { size_ = end; });
    return {};
  }
  std::array<std::byte, kBlockSize> whole{};
  const uint64_t visible_end = state == BlockState::kBelow ? std::min(base_limit_, start + kBlockSize) : start;
  if (visible_end > start && (offset > start || end < visible_end)) {
    const auto status = base_->ReadAt(start, MutableBytes(whole).first(visible_end - start));
    if (!status) return status;
  }
  std::memcpy(whole.data() + (offset - start), bytes.data(), bytes.size());
  return WriteBlocks(block, whole, end);
}

// Whole blocks from block `first` on; the file ends at `end_of_write` or later.
vfs::FsStatus FileContent::WriteBlocks(uint64_t first, ByteView bytes, uint64_t end_of_write) {
  const uint64_t count = bytes.size() / kBlockSize;
  const auto needs_data = [&](uint64_t index) {
    return map_.At(first + index) == BlockState::kData || !IsZero(bytes.subspan(index * kBlockSize, kBlockSize));
  };
  uint64_t begin = 0;
  bool data = needs_data(0);
  while (begin < count) {
    uint64_t end = begin + 1;
    bool next = data;
    while (end < count && (next = needs_data(end)) == data) ++end;
    if (data) {
      const ByteView run = bytes.subspan(begin * kBlockSize, (end - begin) * kBlockSize);
      if (const auto status = data_.WriteAt((first + begin) * kBlockSize, run); !status) return status;
    }
    Apply([&] {
      const uint64_t masked_end = std::max(first + begin, std::min(first + end, BlocksFor(base_limit_)));
      if (data) map_.Set(first + begin, first + end, BlockState::kData);
      if (!data) map_.Set(first + begin, masked_end, BlockState::kZero);
      size_ = std::max(size_, std::min((first + end) * kBlockSize, end_of_write));
    });
    begin = end;
    data = next;
  }
  return {};
}

vfs::FsStatus FileContent::WriteZeros(uint64_t offset, uint64_t length) {
  if (offset > kMaxFileSize || length > kMaxFileSize - offset) return vfs::FsError(EFBIG);
  const std::scoped_lock lock(change_mutex_);
  const uint64_t end = offset + length;
  if (const auto status = Zero(offset, std::min(end, size_)); !status) return status;
  if (length > 0 && end > size_) Apply([&] { size_ = end; });
  return {};
}

// [offset, end) of what lies before the end of the file.
vfs::FsStatus FileContent::Zero(uint64_t offset, uint64_t end) {
  if (offset >= end) return {};
  // What follows the end of the file in its last block is zeros already.
  const uint64_t last = end >= size_ ? BlocksFor(end) : BlockOf(end);
  if (offset % kBlockSize != 0) {
    const uint64_t piece_end = std::min(end, (BlockOf(offset) + 1) * kBlockSize);
    if (const auto status = ZeroInBlock(offset, piece_end - offset); !status) return status;
    offset = piece_end;
  }
  if (offset < end && BlockOf(offset) < last) {
    ZeroBlocks(BlockOf(offset), last);
    offset = last * kBlockSize;
  }
  return offset < end ? ZeroInBlock(offset, end - offset) : vfs::FsStatus{};
}

vfs::FsStatus FileContent::ZeroInBlock(uint64_t offset, uint64_t length) {
  const BlockState state = map_.At(BlockOf(offset));
  const bool is_zero = state == BlockState::kZero || (state == BlockState::kBelow && offset >= base_limit_);
  return is_zero ? vfs::FsStatus{} : WriteInBlock(offset, ByteView(kZeros).first(length));
}

void FileContent::ZeroBlocks(uint64_t begin, uint64_t end) {
  const uint64_t had = map_.data_blocks();
  Apply([&] {
    const uint64_t masked_end = std::clamp(BlocksFor(base_limit_), begin, end);
    map_.Set(begin, masked_end, BlockState::kZero);
    map_.Set(masked_end, end, BlockState::kBelow);
  });
  if (map_.data_blocks() != had) data_.Discard(begin * kBlockSize, (end - begin) * kBlockSize);
}

vfs::FsStatus FileContent::Resize(uint64_t size) {
  if (size > kMaxFileSize) return vfs::FsError(EFBIG);
  const std::scoped_lock lock(change_mutex_);
  if (size >= size_) {
    Apply([&] { size_ = size; });
    return {};
  }
  const uint64_t tail = size % kBlockSize;
  if (tail != 0 && map_.At(BlockOf(size)) == BlockState::kData) {
    if (const auto status = data_.WriteAt(size, ByteView(kZeros).subspan(tail)); !status) return status;
  }
  Apply([&] {
    size_ = size;
    base_limit_ = std::min(base_limit_, size);
    map_.ClearFrom(BlocksFor(size));
    ++cuts_;
  });
  data_.Truncate(BlocksFor(size) * kBlockSize);
  return {};
}

vfs::FsStatus FileContent::Allocate(vfs::AllocationMode mode, uint64_t offset, uint64_t length) {
  if (length == 0) return vfs::FsError(EINVAL);
  if (mode.punch_hole && (!mode.keep_size || mode.zero_range)) return vfs::FsError(EOPNOTSUPP);
  if (offset > kMaxFileSize || length > kMaxFileSize - offset) return vfs::FsError(EFBIG);
  if (!mode.punch_hole) {
    const auto space = io::DiskSpaceAt(store_.directory());
    if (space && space->available_bytes < length) return vfs::FsError(ENOSPC);
  }
  const std::scoped_lock lock(change_mutex_);
  const uint64_t end = offset + length;
  if (mode.punch_hole || mode.zero_range) {
    if (const auto status = Zero(offset, std::min(end, size_)); !status) return status;
  }
  if (!mode.keep_size && end > size_) Apply([&] { size_ = end; });
  return {};
}

}  // namespace pgstrata::layer
