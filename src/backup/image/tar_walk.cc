#include "backup/image/tar_walk.h"

#include <algorithm>
#include <vector>

#include "foundation/base/text.h"

namespace pgstrata::image {
namespace {

// Headers of small files lie close together.
constexpr size_t kWindow = 16 << 10;
// A path or the records of one member.
constexpr uint64_t kLargestExtension = 1 << 20;

uint64_t RoundedToBlocks(uint64_t size) { return (size + kTarBlock - 1) / kTarBlock * kTarBlock; }

class Walker {
 public:
  Walker(const ImageFile& archive, const std::function<Status(const TarMember&)>& visit)
      : archive_(archive), visit_(visit) {}

  Status Run() {
    for (;;) {
      if (archive_.size() - position_ < kTarBlock) return EndedEarly();
      PGS_ASSIGN(const ByteView block, BlockAt(position_));
      // Writers end with two such blocks; what stands behind the first is no member.
      if (IsZeroBlock(block)) return pending_ ? EndedEarly() : Status();
      PGS_ASSIGN(TarMember member, MemberOf(block));
      if (IsExtension(member.header.type)) {
        PGS_TRY(TakeExtension(member));
      } else {
        PGS_TRY(TakeMember(std::move(member)));
      }
    }
  }

  [[nodiscard]] uint64_t position() const { return position_; }

 private:
  static bool IsExtension(TarType type) {
    return type == TarType::kLongName || type == TarType::kLongLinkTarget || type == TarType::kPaxRecords ||
           type == TarType::kPaxGlobals;
  }

  std::unexpected<Error> EndedEarly() const {
    return Fail(
        Error(ErrorCode::kCorrupt, "it ends before its end: the archive was cut short")
            .WithHint("copy it again from where it was made; a backup that was still being written is like this"));
  }

  Result<ByteView> BlockAt(uint64_t offset) {
    if (offset < window_offset_ || offset + kTarBlock > window_offset_ + window_.size()) {
      window_.resize(std::min<uint64_t>(kWindow, archive_.size() - offset));
      window_offset_ = offset;
      const auto read = archive_.ReadAt(offset, window_);
      if (!read) window_.clear();
      PGS_TRY(read);
    }
    return ByteView(window_).subspan(offset - window_offset_, kTarBlock);
  }

  // Fields that an extension replaces are replaced here, so that its size is the right one.
  Result<TarMember> MemberOf(ByteView block) const {
    TarMember member;
    PGS_ASSIGN(member.header, ParseTarHeader(block));
    if (!IsExtension(member.header.type)) {
      globals_.ApplyTo(member.header);
      next_.ApplyTo(member.header);
    }
    switch (member.header.type) {
      case TarType::kDirectory:
      case TarType::kLink:
      case TarType::kHardLink:
      case TarType::kOther:
        member.header.size = 0;  // some writers leave the size of what it stands for; no data follows
        break;
      default:
        break;
    }
    member.data = position_ + kTarBlock;
    if (member.header.size > archive_.size() - member.data) return EndedEarly();
    return member;
  }

  void Pass(const TarMember& member) {
    position_ = std::min(member.data + RoundedToBlocks(member.header.size), archive_.size());
  }

  Status TakeExtension(const TarMember& member) {
    if (member.header.size > kLargestExtension) {
      return Fail(ErrorCode::kUnsupported, "the extension of a header is larger than any path");
    }
    std::vector<std::byte> data(member.header.size);
    PGS_TRY(archive_.ReadAt(member.data, data));
    std::string text(AsText(data));
    text.resize(std::min(text.find('\0'), text.size()));
    switch (member.header.type) {
      case TarType::kLongName:
        next_.path = std::move(text);
        break;
      case TarType::kLongLinkTarget:
        next_.link_target = std::move(text);
        break;
      case TarType::kPaxRecords:
        PGS_TRY(ParsePaxRecords(data, next_));
        break;
      default:
        PGS_TRY(ParsePaxRecords(data, globals_));
        break;
    }
    pending_ = member.header.type != TarType::kPaxGlobals;
    Pass(member);
    return {};
  }

  Status TakeMember(TarMember member) {
    next_ = {};
    pending_ = false;
    const bool names_directory = member.header.path.ends_with('/');
    PGS_ASSIGN(member.header.path, NormalizeTarPath(member.header.path));
    // Before ustar a directory was a file whose path ends so.
    if (member.header.type == TarType::kFile && names_directory) member.header.type = TarType::kDirectory;
    if (member.header.type != TarType::kOther) PGS_TRY(visit_(member));
    Pass(member);
    return {};
  }

  const ImageFile& archive_;
  const std::function<Status(const TarMember&)>& visit_;
  uint64_t position_ = 0;
  std::vector<std::byte> window_;
  uint64_t window_offset_ = 0;
  TarOverrides globals_;
  TarOverrides next_;
  bool pending_ = false;  // an extension waits for its member
};

}  // namespace

Status VisitTarMembers(const ImageFile& archive, const std::function<Status(const TarMember&)>& visit) {
  Walker walker(archive, visit);
  Status walked = walker.Run();
  if (walked) return {};
  return Fail(std::move(walked).error().Wrap("at byte " + std::to_string(walker.position())));
}

}  // namespace pgstrata::image
