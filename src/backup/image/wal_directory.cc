#include "backup/image/wal_directory.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "backup/image/buffer_file.h"
#include "backup/image/native_file.h"
#include "backup/image/unpacked_segments.h"
#include "foundation/base/text.h"
#include "foundation/codec/decompress.h"
#include "foundation/io/directory.h"
#include "postgres/pgdata/wal_name.h"

namespace pgstrata::image {
namespace {

using codec::Compression;

// The largest segment that initdb makes.
constexpr uint64_t kLargestSegment = 1ULL << 30;
constexpr std::string_view kPartial = ".partial";

// Timeline history or backup history.
bool IsHistoryName(std::string_view name) {
  using enum pgdata::WalFileKind;
  const std::string_view backup_name = name.ends_with(".backup") ? name.substr(0, name.find('.')) : "";
  if (pgdata::LooksLikeSegmentName(backup_name)) return true;
  const auto parsed = pgdata::ParseWalFileName(name, pgdata::WalSegmentSize());
  return parsed && parsed->kind == kHistory;
}

// A file's name taken apart; nothing where it is no WAL.
struct StoredName {
  std::string_view wal_name;
  bool partial = false;
  Compression compression = Compression::kNone;
  // Whole before partial, plain before compressed: the smaller is the better source of the same segment.
  [[nodiscard]] int Rank() const { return (partial ? 2 : 0) + (compression != Compression::kNone ? 1 : 0); }

  static std::optional<StoredName> Parse(std::string_view file_name) {
    StoredName stored;
    std::string_view rest = file_name;
    const auto take_partial = [&] {
      if (stored.partial || !rest.ends_with(kPartial)) return;
      rest.remove_suffix(kPartial.size());
      stored.partial = true;
    };
    take_partial();
    const auto taken_apart = codec::CompressionBySuffix(rest);
    stored.compression = taken_apart.compression;
    rest = taken_apart.stem;
    take_partial();
    stored.wal_name = rest;
    const bool is_wal = pgdata::LooksLikeSegmentName(rest) || (!stored.partial && IsHistoryName(rest));
    return is_wal ? std::optional(stored) : std::nullopt;
  }
};

// The names under which a segment may be stored, best first.
std::vector<std::string> PossibleNames(std::string_view wal_name) {
  constexpr std::array<std::string_view, 4> kSuffixes = {".gz", ".lz4", ".zst", ".bz2"};
  const std::string name(wal_name);
  std::vector<std::string> names = {name};
  for (const auto suffix : kSuffixes) names.push_back(name + std::string(suffix));
  names.push_back(name + std::string(kPartial));
  for (const auto suffix : kSuffixes) {
    names.push_back(name + std::string(suffix) + std::string(kPartial));
    names.push_back(name + std::string(kPartial) + std::string(suffix));
  }
  return names;
}

Result<std::vector<std::byte>> ReadWhole(const ImageFile& file, const std::string& path) {
  if (file.size() > kLargestSegment) {
    return Fail(ErrorCode::kCorrupt, Quoted(path) + " is larger than any WAL segment");
  }
  std::vector<std::byte> content(file.size());
  PGS_TRY(file.ReadAt(0, content));
  return content;
}

Result<Compression> CompressionOf(const ImageFile& file, const StoredName& stored) {
  if (stored.compression != Compression::kNone) return stored.compression;
  std::array<std::byte, 4> head{};
  if (file.size() < head.size()) return Compression::kNone;
  PGS_TRY(file.ReadAt(0, head));
  return codec::CompressionByMagic(head);
}

// What the header of the segment's first page says (XLogLongPageHeaderData); 0 where there is no such header.
uint64_t SegmentSizeInHeader(ByteView content) {
  constexpr size_t kInfoOffset = 2;
  constexpr size_t kSegmentSizeOffset = 32;
  constexpr uint16_t kLongHeader = 0x0002;
  if (content.size() < kSegmentSizeOffset + sizeof(uint32_t)) return 0;
  if ((LoadLe<uint16_t>(content, kInfoOffset) & kLongHeader) == 0) return 0;
  const auto size = pgdata::WalSegmentSize::FromBytes(LoadLe<uint32_t>(content, kSegmentSizeOffset));
  return size ? size->bytes() : 0;
}

Result<std::vector<std::byte>> Unpacked(const ImageFile& file, const std::string& path, Compression compression,
                                        codec::Ending ending) {
  PGS_ASSIGN(auto content, ReadWhole(file, path));
  if (compression == Compression::kNone) return content;
  auto unpacked = codec::Decompress(compression, content, kLargestSegment, ending);
  if (unpacked) return unpacked;
  return Fail(ErrorCode::kCorrupt, "could not unpack the WAL file " + Quoted(path) + ": " + unpacked.error().message());
}

// A compressed or partial file. It holds the packed file open, which fails when that changes, and none of the content.
class PackedSegment final : public ImageFile {
 public:
  PackedSegment(std::unique_ptr<NativeFile> file, std::string path, Compression compression, bool partial,
                std::shared_ptr<UnpackedSegments> unpacked)
      : file_(std::move(file)),
        path_(std::move(path)),
        compression_(compression),
        partial_(partial),
        key_(path_ + '\0' + std::to_string(file_->fingerprint().Digest())),
        unpacked_(std::move(unpacked)) {}

  // Before anything else: unpacks it for the first time.
  Status Measure() {
    return Use([this](ByteView content) -> Status {
      size_ = content.size();
      return {};
    });
  }

  [[nodiscard]] uint64_t size() const override { return size_; }
  Status ReadAt(uint64_t offset, MutableBytes out) const override {
    return Use([&](ByteView content) { return MakeBufferView(content)->ReadAt(offset, out); });
  }

 private:
  Status Use(const std::function<Status(ByteView)>& use) const {
    return unpacked_->Use(key_, [this] { return Unpack(); }, use);
  }
  Result<std::vector<std::byte>> Unpack() const {
    const auto ending = partial_ ? codec::Ending::kMayBeCut : codec::Ending::kMustBeWhole;
    PGS_ASSIGN(auto content, Unpacked(*file_, path_, compression_, ending));
    if (partial_) content.resize(std::max<uint64_t>(content.size(), SegmentSizeInHeader(content)));
    content.shrink_to_fit();
    return content;
  }

  const std::unique_ptr<NativeFile> file_;
  const std::string path_;
  const Compression compression_;
  const bool partial_;
  const std::string key_;
  const std::shared_ptr<UnpackedSegments> unpacked_;
  uint64_t size_ = 0;
};

Result<std::unique_ptr<ImageFile>> OpenStored(const std::string& path, const StoredName& stored,
                                              const std::shared_ptr<UnpackedSegments>& unpacked) {
  PGS_ASSIGN(const std::string resolved, io::ResolvePath(path));
  PGS_ASSIGN(std::unique_ptr<NativeFile> file, OpenNativeFile(resolved));
  PGS_ASSIGN(const Compression compression, CompressionOf(*file, stored));
  if (compression == Compression::kNone && !stored.partial) return file;
  auto segment = std::make_unique<PackedSegment>(std::move(file), path, compression, stored.partial, unpacked);
  PGS_TRY(segment->Measure());
  return segment;
}

class WalDirectory final : public WalArchive {
 public:
  WalDirectory(std::string root, std::string name) : root_(std::move(root)), name_(std::move(name)) {}

  [[nodiscard]] const std::string& name() const override { return name_; }

  Result<std::vector<WalFile>> List() const override {
    PGS_ASSIGN(const auto file_names, io::ListDirectory(root_));
    std::map<std::string_view, StoredName> best;
    for (const auto& file_name : file_names) {
      const auto stored = StoredName::Parse(file_name);
      if (!stored) continue;
      const auto [known, added] = best.try_emplace(stored->wal_name, *stored);
      if (!added && stored->Rank() < known->second.Rank()) known->second = *stored;
    }
    std::vector<WalFile> files;
    files.reserve(best.size());
    for (const auto& [wal_name, stored] : best) {
      files.push_back({.name = std::string(wal_name), .partial = stored.partial});
    }
    return files;
  }

  Result<std::unique_ptr<ImageFile>> Open(std::string_view wal_name) const override {
    const auto asked = StoredName::Parse(wal_name);
    if (!asked || asked->wal_name != wal_name) {
      return Fail(ErrorCode::kInvalidArgument, Quoted(wal_name) + " is not the name of a WAL file");
    }
    for (const auto& file_name : PossibleNames(wal_name)) {
      const auto stored = StoredName::Parse(file_name);
      const std::string path = JoinPath(root_, file_name);
      if (stored && io::Exists(path)) return OpenStored(path, *stored, unpacked_);
    }
    return Fail(ErrorCode::kNotFound, "there is no " + Quoted(wal_name) + " in " + Quoted(name_));
  }

 private:
  const std::string root_;
  const std::string name_;
  const std::shared_ptr<UnpackedSegments> unpacked_ = std::make_shared<UnpackedSegments>();
};

}  // namespace

Result<std::unique_ptr<WalArchive>> OpenWalDirectory(const std::string& path) {
  PGS_ASSIGN(auto root, io::ResolvePath(path));
  PGS_ASSIGN(const struct stat status, io::StatTarget(root));
  if (!S_ISDIR(status.st_mode)) return Fail(ErrorCode::kInvalidArgument, Quoted(path) + " is not a directory");
  PGS_TRY(io::ListDirectory(root));
  return std::make_unique<WalDirectory>(std::move(root), path);
}

}  // namespace pgstrata::image
