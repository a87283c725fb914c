#include "catalog/probackup/page_index.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <limits>

#include "postgres/pgdata/crc32c.h"

namespace pgstrata::probackup {
namespace {

constexpr uint32_t kPadding = 8;
constexpr int32_t kSkippedPage = -1;
constexpr int32_t kCutFile = -2;

uint64_t Padded(uint64_t size) { return (size + kPadding - 1) / kPadding * kPadding; }

std::unexpected<Error> Damaged(std::string reason) { return Fail(ErrorCode::kCorrupt, std::move(reason)); }

// Reads a stream from its beginning to its end, through a buffer.
class StreamReader {
 public:
  explicit StreamReader(const PageIndex::Stream& stream)
      : stream_(stream), buffer_(std::min<uint64_t>(stream.size, kBufferBytes)) {}

  [[nodiscard]] uint64_t position() const { return begin_ + used_; }
  [[nodiscard]] uint64_t remaining() const { return stream_.size - position(); }
  [[nodiscard]] PageIndex::StreamCrc crc() const { return crc_; }

  // The next `count` bytes, of which there are so many; at most kLargest.
  Result<ByteView> Take(size_t count, bool payload) {
    if (filled_ - used_ < count) PGS_TRY(Fill());
    const ByteView taken = ByteView(buffer_).subspan(used_, count);
    crc_.all = pgdata::Crc32c(taken, crc_.all);
    if (payload) crc_.payloads = pgdata::Crc32c(taken, crc_.payloads);
    used_ += count;
    return taken;
  }

 private:
  static constexpr uint64_t kBufferBytes = 256 << 10;

  Status Fill() {
    std::copy(buffer_.begin() + static_cast<ptrdiff_t>(used_), buffer_.begin() + static_cast<ptrdiff_t>(filled_),
              buffer_.begin());
    begin_ += used_;
    filled_ -= used_;
    used_ = 0;
    const uint64_t left = stream_.size - begin_ - filled_;
    const MutableBytes room = MutableBytes(buffer_).subspan(filled_, std::min(left, buffer_.size() - filled_));
    PGS_TRY(stream_.read(begin_ + filled_, room));
    filled_ += room.size();
    return {};
  }

  const PageIndex::Stream& stream_;
  std::vector<std::byte> buffer_;
  uint64_t begin_ = 0;  // of the buffer in the stream
  size_t filled_ = 0;
  size_t used_ = 0;
  PageIndex::StreamCrc crc_;
};

}  // namespace

bool PageIndex::Add(uint32_t block, int64_t size, uint64_t offset) {
  if (block < end_ || block >= kBlocksOfSegment || size <= 0 || size > kPageBytes) return false;
  if (offset > std::numeric_limits<uint32_t>::max() || offset < next_offset_) return false;
  const auto rank = static_cast<uint32_t>(sizes_.size());
  if (offset != next_offset_)
    gaps_.emplace_back(rank, (gaps_.empty() ? 0 : gaps_.back().second) + offset - next_offset_);
  const uint64_t gap = gaps_.empty() ? 0 : gaps_.back().second;
  if (rank % kGroup == 0) offsets_.push_back(static_cast<uint32_t>(offset - gap));
  bits_.resize(block / kGroup + 1);
  bits_[block / kGroup] |= 1ULL << (block % kGroup);
  sizes_.push_back(static_cast<uint16_t>(size));
  end_ = block + 1;
  next_offset_ = offset + RecordBytes(static_cast<uint32_t>(size));
  return true;
}

void PageIndex::Finish() {
  ranks_.reserve(bits_.size());
  uint32_t rank = 0;
  for (const uint64_t word : bits_) {
    ranks_.push_back(rank);
    rank += static_cast<uint32_t>(std::popcount(word));
  }
  bits_.shrink_to_fit();
  sizes_.shrink_to_fit();
  checksums_.shrink_to_fit();
  offsets_.shrink_to_fit();
}

uint64_t PageIndex::RecordBytes(uint32_t size) const { return kRecordHeaderBytes + (padded_ ? Padded(size) : size); }

uint32_t PageIndex::RankOf(uint32_t block) const {
  const uint64_t before = (1ULL << (block % kGroup)) - 1;
  return ranks_[block / kGroup] + static_cast<uint32_t>(std::popcount(bits_[block / kGroup] & before));
}

PageIndex::Place PageIndex::PlaceOf(uint32_t block) const {
  const uint32_t rank = RankOf(block);
  Place place{.offset = offsets_[rank / kGroup], .size = sizes_[rank], .checksum = {}};
  for (uint32_t i = rank / kGroup * kGroup; i < rank; ++i) place.offset += RecordBytes(sizes_[i]);
  if (!gaps_.empty()) {
    const auto after = std::ranges::upper_bound(gaps_, rank, {}, &std::pair<uint32_t, uint64_t>::first);
    if (after != gaps_.begin()) place.offset += std::prev(after)->second;
  }
  if (!checksums_.empty()) place.checksum = checksums_[rank];
  return place;
}

uint64_t PageIndex::memory_bytes() const {
  return sizeof *this + bits_.capacity() * sizeof(uint64_t) + ranks_.capacity() * sizeof(uint32_t) +
         sizes_.capacity() * sizeof(uint16_t) + checksums_.capacity() * sizeof(uint16_t) +
         offsets_.capacity() * sizeof(uint32_t) + gaps_.capacity() * sizeof gaps_[0];
}

Result<PageIndex> PageIndex::FromHeaderMap(ByteView entries, uint64_t stream_size) {
  // {u64 lsn; i32 block; i32 position; u16 checksum; 6 bytes of padding}
  constexpr size_t kBlockOffset = 8;
  constexpr size_t kPositionOffset = 12;
  constexpr size_t kChecksumOffset = 16;
  if (entries.size() % kHeaderMapEntryBytes != 0 || entries.size() < 2 * size_t{kHeaderMapEntryBytes}) {
    return Damaged(fmt::format("{} bytes are no page header map", entries.size()));
  }
  const size_t pages = entries.size() / kHeaderMapEntryBytes - 1;
  PageIndex index;
  if (pages > kBlocksOfSegment) return Damaged(fmt::format("a page header map of {} pages", pages));
  index.sizes_.reserve(pages);
  index.checksums_.reserve(pages);
  const auto position_of = [&](size_t i) {
    return int64_t{LoadLe<int32_t>(entries, i * kHeaderMapEntryBytes + kPositionOffset)};
  };
  if (position_of(0) != 0) return Damaged("the first page does not lie at the beginning");
  for (size_t i = 0; i < pages; ++i) {
    const size_t entry = i * kHeaderMapEntryBytes;
    const auto block = LoadLe<uint32_t>(entries, entry + kBlockOffset);
    const int64_t size = position_of(i + 1) - position_of(i) - kRecordHeaderBytes;
    if (!index.Add(block, size, index.next_offset_)) {
      return Damaged(fmt::format("entry {} of the page header map (block {}, {} bytes) cannot be", i, block, size));
    }
    index.checksums_.push_back(LoadLe<uint16_t>(entries, entry + kChecksumOffset));
  }
  if (index.next_offset_ != stream_size) {
    return Damaged(
        fmt::format("the page header map is of a file of {} bytes, not of {}", index.next_offset_, stream_size));
  }
  index.Finish();
  return index;
}

Result<PageIndex> PageIndex::FromStream(const Stream& stream) {
  PageIndex index;
  index.padded_ = stream.padded;
  StreamReader reader(stream);
  while (reader.remaining() > 0) {
    const uint64_t offset = reader.position();
    const auto damaged = [&](std::string_view what) {
      return Damaged(fmt::format("the record at byte {} {}", offset, what));
    };
    if (reader.remaining() < kRecordHeaderBytes) return damaged("is cut");
    PGS_ASSIGN(const ByteView header, reader.Take(kRecordHeaderBytes, false));
    const auto block = LoadLe<uint32_t>(header, 0);
    const auto size = LoadLe<int32_t>(header, 4);
    if (size == kSkippedPage) continue;
    if (size == 0 && block == 0 && stream.padded) continue;  // a hole: what an old merge left
    if (size == kCutFile) {
      if (block > kBlocksOfSegment) return damaged("cuts the file beyond a segment");
      index.cut_to_ = block;
      break;
    }
    if (!index.Add(block, size, offset)) {
      return damaged(fmt::format("(block {}, {} bytes) cannot be", block, size));
    }
    const uint64_t payload = index.next_offset_ - offset - kRecordHeaderBytes;
    if (reader.remaining() < payload) return damaged(fmt::format("(block {}) is cut", block));
    PGS_TRY(reader.Take(payload, true));
  }
  if (reader.remaining() == 0) index.stream_crc_ = reader.crc();
  index.Finish();
  return index;
}

}  // namespace pgstrata::probackup
