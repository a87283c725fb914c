#include "volume/layer/copy_content.h"

#include <algorithm>
#include <vector>

namespace pgstrata::layer {
namespace {

constexpr uint64_t kPiece = uint64_t{256} << 10;

// One copy in progress.
class Copy {
 public:
  Copy(FileContent& from, uint64_t from_offset, FileContent& to, uint64_t to_offset, uint64_t length,
       const CopyStep& step)
      : from_(from), to_(to), step_(step), at_(from_offset), to_at_(to_offset), end_(from_offset + length) {}

  vfs::FsStatus Run() {
    while (at_ < end_) {
      const auto data = from_.Seek(at_, vfs::SeekTarget::kData);
      if (!data && data.error().value != ENXIO) return std::unexpected(data.error());
      const uint64_t data_begin = data ? std::min(*data, end_) : end_;
      if (const auto status = CopyHole(data_begin); !status) return status;
      if (at_ >= end_) break;
      const auto hole = from_.Seek(at_, vfs::SeekTarget::kHole);
      if (!hole) return hole.error().value == ENXIO ? vfs::FsStatus{} : std::unexpected(hole.error());
      if (const auto status = CopyData(std::min(*hole, end_)); !status) return status;
    }
    return {};
  }
  [[nodiscard]] uint64_t at() const { return at_; }

 private:
  vfs::FsStatus CopyHole(uint64_t end) {
    if (end == at_) return {};
    if (const auto status = step_([&] { return to_.WriteZeros(to_at_, end - at_); }); !status) return status;
    Advance(end - at_);
    return {};
  }
  vfs::FsStatus CopyData(uint64_t end) {
    buffer_.resize(std::min(kPiece, end - at_));
    while (at_ < end) {
      const MutableBytes piece = MutableBytes(buffer_).first(std::min<uint64_t>(buffer_.size(), end - at_));
      const auto count = from_.Read(at_, piece);
      if (!count) return std::unexpected(count.error());
      if (*count == 0) {
        end_ = at_;  // the source became shorter
        return {};
      }
      const auto status = step_([&] { return to_.Write(to_at_, piece.first(*count)); });
      if (!status) return status;
      Advance(*count);
    }
    return {};
  }
  void Advance(uint64_t count) {
    at_ += count;
    to_at_ += count;
  }

  FileContent& from_;
  FileContent& to_;
  const CopyStep& step_;
  uint64_t at_;
  uint64_t to_at_;
  uint64_t end_;
  std::vector<std::byte> buffer_;
};

}  // namespace

vfs::FsResult<uint64_t> CopyContent(FileContent& from, uint64_t from_offset, FileContent& to, uint64_t to_offset,
                                    uint64_t length, const CopyStep& step) {
  const uint64_t size = from.extent().size;
  length = from_offset >= size ? 0 : std::min(length, size - from_offset);
  if (length == 0) return uint64_t{0};
  if (to_offset > kMaxFileSize || length > kMaxFileSize - to_offset) return vfs::FsError(EFBIG);
  const uint64_t distance = from_offset > to_offset ? from_offset - to_offset : to_offset - from_offset;
  if (&from == &to && distance < length) return vfs::FsError(EINVAL);
  Copy copy(from, from_offset, to, to_offset, length, step);
  const auto status = copy.Run();
  const uint64_t copied = copy.at() - from_offset;
  if (!status && copied == 0) return std::unexpected(status.error());
  return copied;
}

}  // namespace pgstrata::layer
