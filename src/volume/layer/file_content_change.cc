// Changing a file. Invariants of FileContent that every function here keeps, also when it fails half-way:
//   - a kData block is wholly in the data file: it is written whole before the map names it, completed from below;
//   - beyond the length, the rest of a kData block is zeros (or stale_tail says that it may not be), and every later
//     block is kBelow;
//   - in an ephemeral volume a block of zeros where nothing but zeros would be read, or over the image, costs no space;
//     in a durable one zeros that are written take the space that they will need (PostgreSQL reserves WAL that way).
#include <algorithm>
#include <cstring>

#include "volume/layer/file_content.h"
#include "volume/vfs/errno_map.h"

namespace pgstrata::layer {
namespace {

constexpr std::array<std::byte, kBlockSize> kZeros{};

bool IsZero(ByteView bytes) {
  return bytes.empty() ||
         (bytes[0] == std::byte{0} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

}  // namespace

Blob& FileContent::Top() {
  Layer& layer = stack_.top();
  if (newest_ && &newest_->layer == &layer) return *newest_;
  std::shared_ptr<Below> below = base_;
  if (newest_) below = newest_;
  auto blob = std::make_shared<Blob>(layer, node_, std::move(below), false);
  blob->length = blob->base_limit = blob->logged_length = blob->below ? blob->below->size() : 0;
  if (newest_ && newest_->Owes()) {
    // A Sync that is on its way finds it frozen, and begins again.
    newest_->owed.SetAll(newest_->syncing);
    newest_->syncing = {};
    owing_.push_back(newest_);
  }
  const std::unique_lock lock(state_mutex_);
  newest_ = std::move(blob);
  return *newest_;
}

template <typename Change>
void FileContent::Apply(Change&& change) {
  const std::unique_lock lock(state_mutex_);
  const uint64_t before = newest_->map.data_blocks();
  change();
  newest_->layer.data_blocks.Add(newest_->map.data_blocks() - before);  // wraps where there are fewer
}

void FileContent::NotePosition(uint64_t position) {
  uint64_t known = log_position_.load();
  while (known < position && !log_position_.compare_exchange_weak(known, position)) {
  }
}

void FileContent::AppendLength(Blob& blob, uint64_t size) {
  NotePosition(LayerStack::Append(blob.layer, SizeRecord{node_, size, blob.base_limit}));
  blob.logged_length = size;
  blob.length_is_logged = true;
}

void FileContent::Remove() {
  const std::scoped_lock lock(change_mutex_);
  removed_ = true;
  if (!newest_) return;
  Blob& blob = Top();
  Apply([&] { blob.map.ClearFrom(0); });
  if (!stack_.durable()) return blob.data.Remove();
  blob.owed = {};
  blob.syncing = {};
  freed_.assign(1, {.blob = newest_, .position = stack_.end()});
}

vfs::FsStatus FileContent::Write(uint64_t offset, ByteView bytes) {
  if (bytes.empty()) return {};
  if (offset > kMaxFileSize || bytes.size() > kMaxFileSize - offset) return vfs::FsError(EFBIG);
  const std::scoped_lock lock(change_mutex_);
  Top();
  const uint64_t begin = offset;
  const uint64_t end_of_write = offset + bytes.size();
  if (const auto status = PrepareTail(end_of_write); !status) return status;
  while (!bytes.empty()) {
    const uint64_t in_block = offset % kBlockSize;
    const bool whole = in_block == 0 && bytes.size() >= kBlockSize;
    const uint64_t room = kBlockSize - in_block;
    const uint64_t count = whole ? bytes.size() - bytes.size() % kBlockSize : std::min<uint64_t>(room, bytes.size());
    const ByteView piece = bytes.first(count);
    const auto status = whole ? WriteBlocks(BlockOf(offset), piece, offset + count) : WriteInBlock(offset, piece);
    if (!status) {
      NoteLost(std::max(offset, newest_->length), end_of_write);
      return status;
    }
    offset += count;
    bytes = bytes.subspan(count);
  }
  NoteWritten(begin, end_of_write);
  return {};
}

void FileContent::NoteLost(uint64_t begin, uint64_t end) {
  if (begin >= end) return;
  lost_begin_ = std::min<uint64_t>(lost_begin_, begin);
  lost_end_ = std::max<uint64_t>(lost_end_, end);
}

// Of what was lost an end is known again; a piece in the middle is not worth knowing.
void FileContent::NoteWritten(uint64_t begin, uint64_t end) {
  if (begin <= lost_begin_ && end > lost_begin_) lost_begin_ = end;
  if (end >= lost_end_ && begin < lost_end_) lost_end_ = begin;
  if (lost_begin_ < lost_end_) return;
  lost_begin_ = UINT64_MAX;
  lost_end_ = 0;
}

// A part of one block.
vfs::FsStatus FileContent::WriteInBlock(uint64_t offset, ByteView bytes) {
  Blob& blob = *newest_;
  const uint64_t block = BlockOf(offset);
  const uint64_t start = block * kBlockSize;
  const uint64_t end = offset + bytes.size();
  const BlockState state = blob.map.At(block);
  if (state == BlockState::kData) {
    blob.unsynced = true;
    if (const auto status = blob.data.WriteAt(offset, bytes); !status) return status;
    if (end > blob.length) Grow(end);
    return {};
  }
  std::array<std::byte, kBlockSize> whole{};
  const uint64_t visible_end = state == BlockState::kBelow ? std::min(blob.base_limit, start + kBlockSize) : start;
  if (visible_end > start && (offset > start || end < visible_end)) {
    const auto status = blob.below->ReadAt(start, MutableBytes(whole).first(visible_end - start));
    if (!status) return status;
  }
  std::memcpy(whole.data() + (offset - start), bytes.data(), bytes.size());
  return WriteBlocks(block, whole, end);
}

// For what of the blocks [begin, end) is not in the topmost layer.
bool FileContent::HasRoom(uint64_t begin, uint64_t end) const {
  if (!stack_.limited()) return true;
  const uint64_t shown_end = BlocksFor(newest_->base_limit);  // behind that there is nothing to change
  uint64_t missing = 0;
  bool grows = false;
  for (uint64_t at = begin; at < end;) {
    const BlockRun run = newest_->map.RunAt(at, end);
    if (run.state != BlockState::kData) {
      missing += run.end - at;
      grows = grows || run.end > shown_end;
    }
    at = run.end;
  }
  grows = grows && end * kBlockSize > kSmallFile;
  return missing == 0 || stack_.HasRoom(missing, grows ? LayerStack::Purpose::kGrowth : LayerStack::Purpose::kChange);
}

vfs::FsStatus FileContent::WriteData(uint64_t first, ByteView bytes) {
  Blob& blob = *newest_;
  const uint64_t end = first + bytes.size() / kBlockSize;
  if (!HasRoom(first, end)) return vfs::FsError(ENOSPC);
  blob.unsynced = true;
  return blob.data.WriteAt(first * kBlockSize, bytes);
}

void FileContent::SetData(uint64_t begin, uint64_t end) {
  Blob& blob = *newest_;
  if (stack_.durable()) {
    for (uint64_t at = begin; at < end;) {
      const BlockRun run = blob.map.RunAt(at, end);
      if (run.state != BlockState::kData) blob.owed.Set(run.begin, run.end, BlockState::kData);
      at = run.end;
    }
  }
  blob.map.Set(begin, end, BlockState::kData);
}

// Whole blocks from block `first` on; the file ends at `end_of_write` or later.
vfs::FsStatus FileContent::WriteBlocks(uint64_t first, ByteView bytes, uint64_t end_of_write) {
  Blob& blob = *newest_;
  const uint64_t count = bytes.size() / kBlockSize;
  const auto needs_data = [&](uint64_t index) {
    return stack_.durable() || blob.map.At(first + index) == BlockState::kData ||
           !IsZero(bytes.subspan(index * kBlockSize, kBlockSize));
  };
  uint64_t begin = 0;
  bool data = needs_data(0);
  while (begin < count) {
    uint64_t end = begin + 1;
    bool next = data;
    while (end < count && (next = needs_data(end)) == data) ++end;
    if (data) {
      const ByteView run = bytes.subspan(begin * kBlockSize, (end - begin) * kBlockSize);
      if (const auto status = WriteData(first + begin, run); !status) return status;
    }
    Apply([&] {
      const uint64_t masked_end = std::max(first + begin, std::min(first + end, BlocksFor(blob.base_limit)));
      if (data) SetData(first + begin, first + end);
      if (!data) blob.map.Set(first + begin, masked_end, BlockState::kZero);
      blob.length = std::max(blob.length, std::min((first + end) * kBlockSize, end_of_write));
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
  if (const auto status = Zero(offset, std::min(end, Top().length)); !status) return status;
  if (length == 0) return {};
  if (const auto status = PrepareTail(end); !status) return status;
  Grow(end);
  return {};
}

// [offset, end) of what lies before the end of the file.
vfs::FsStatus FileContent::Zero(uint64_t offset, uint64_t end) {
  if (offset >= end) return {};
  // What follows the end of the file in its last block is never seen.
  const uint64_t last = end >= newest_->length ? BlocksFor(end) : BlockOf(end);
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
  const BlockState state = newest_->map.At(BlockOf(offset));
  const bool is_zero = state == BlockState::kZero || (state == BlockState::kBelow && offset >= newest_->base_limit);
  return is_zero ? vfs::FsStatus{} : WriteInBlock(offset, ByteView(kZeros).first(length));
}

void FileContent::ZeroBlocks(uint64_t begin, uint64_t end) {
  Blob& blob = *newest_;
  const uint64_t had = blob.map.data_blocks();
  const uint64_t masked_end = std::clamp(BlocksFor(blob.base_limit), begin, end);
  Apply([&] {
    blob.map.Set(begin, masked_end, BlockState::kZero);
    blob.map.Set(masked_end, end, BlockState::kBelow);
  });
  const bool frees = blob.map.data_blocks() != had;
  if (!stack_.durable()) {
    if (frees) blob.data.Discard(begin * kBlockSize, (end - begin) * kBlockSize);
    return;
  }
  blob.owed.Set(begin, end, BlockState::kBelow);
  blob.syncing.Set(begin, end, BlockState::kBelow);
  BlocksRecord record{.node = node_};
  if (begin < masked_end) record.runs.push_back({BlockState::kZero, begin, masked_end});
  if (masked_end < end) record.runs.push_back({BlockState::kBelow, masked_end, end});
  if (!blob.length_is_logged) AppendLength(blob, std::min(blob.length, blob.logged_length));
  NotePosition(LayerStack::Append(blob.layer, record));
  if (frees) Free(begin, end);
}

// Blocks of the data file are not needed any more when the log is durable up to here.
void FileContent::Free(uint64_t begin, uint64_t end) { freed_.push_back({newest_, log_position_.load(), begin, end}); }

vfs::FsStatus FileContent::Resize(uint64_t size) {
  if (size > kMaxFileSize) return vfs::FsError(EFBIG);
  const std::scoped_lock lock(change_mutex_);
  NoteWritten(size, UINT64_MAX);
  if (size < Top().length) return Shrink(size);
  if (const auto status = PrepareTail(size); !status) return status;
  Grow(size);
  return {};
}

vfs::FsStatus FileContent::Shrink(uint64_t size) {
  Blob& blob = *newest_;
  const uint64_t tail = size % kBlockSize;
  const uint64_t end = blob.map.end();
  const bool cuts_block = tail != 0 && blob.map.At(BlockOf(size)) == BlockState::kData;
  if (cuts_block && !stack_.durable()) {
    if (const auto status = blob.data.WriteAt(size, ByteView(kZeros).subspan(tail)); !status) return status;
  }
  Apply([&] {
    blob.length = size;
    blob.base_limit = std::min(blob.base_limit, size);
    blob.map.ClearFrom(BlocksFor(size));
    ++blob.cuts;
  });
  if (!stack_.durable()) {
    blob.data.Truncate(BlocksFor(size) * kBlockSize);
    return {};
  }
  blob.owed.ClearFrom(BlocksFor(size));
  blob.syncing.ClearFrom(BlocksFor(size));
  blob.syncing_length = std::min(blob.syncing_length, size);
  if (size < blob.logged_length) AppendLength(blob, size);
  if (cuts_block) {
    blob.stale_tail = true;
    blob.stale_tail_until = log_position_.load();
  }
  if (BlocksFor(size) < end) Free(BlocksFor(size), end);
  return {};
}

// Before the file grows to `end`: what it then shows behind its length is zeros.
vfs::FsStatus FileContent::PrepareTail(uint64_t end) {
  Blob& blob = *newest_;
  if (end <= blob.length || !blob.stale_tail) return {};
  // A truncation that a power cut undoes must not have overwritten what it cut off.
  if (const auto synced = stack_.SyncTo(blob.stale_tail_until); !synced) {
    return std::unexpected(vfs::ToErrno(synced.error()));
  }
  const uint64_t tail = blob.length % kBlockSize;
  if (tail != 0 && blob.map.At(BlockOf(blob.length)) == BlockState::kData) {
    blob.unsynced = true;
    const auto status = blob.data.WriteAt(blob.length, ByteView(kZeros).subspan(tail));
    if (!status) return status;
  }
  blob.stale_tail = false;
  return {};
}

void FileContent::Grow(uint64_t size) {
  if (size <= newest_->length) return;
  Apply([&] { newest_->length = size; });
}

vfs::FsStatus FileContent::Allocate(vfs::AllocationMode mode, uint64_t offset, uint64_t length) {
  if (length == 0) return vfs::FsError(EINVAL);
  if (mode.punch_hole && (!mode.keep_size || mode.zero_range)) return vfs::FsError(EOPNOTSUPP);
  if (offset > kMaxFileSize || length > kMaxFileSize - offset) return vfs::FsError(EFBIG);
  if (!mode.punch_hole) {
    Layer& layer = stack_.top();
    const auto space = layer.storage().Space(layer.directory());
    if (space && space->available_bytes < length) return vfs::FsError(ENOSPC);
  }
  const std::scoped_lock lock(change_mutex_);
  Blob& blob = Top();
  const uint64_t end = offset + length;
  if (mode.punch_hole || mode.zero_range) {
    if (const auto status = Zero(offset, std::min(end, blob.length)); !status) return status;
  }
  if (!mode.punch_hole && stack_.durable()) {
    if (!HasRoom(BlockOf(offset), BlocksFor(end))) return vfs::FsError(ENOSPC);
    if (const auto status = blob.data.Reserve(offset, length); !status) return status;
  }
  if (mode.keep_size) return {};
  if (const auto status = PrepareTail(end); !status) return status;
  Grow(end);
  return {};
}

}  // namespace pgstrata::layer
