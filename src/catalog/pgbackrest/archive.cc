#include "catalog/pgbackrest/archive.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

#include "backup/image/buffer_file.h"
#include "backup/image/native_file.h"
#include "backup/image/unpacked_segments.h"
#include "catalog/pgbackrest/manifest.h"
#include "catalog/pgbackrest/stored_files.h"
#include "foundation/base/text.h"
#include "foundation/codec/passphrase_cipher.h"
#include "foundation/codec/sha256.h"
#include "foundation/io/directory.h"
#include "postgres/pgdata/wal_name.h"

namespace pgstrata::pgbackrest {
namespace {

using image::ImageFile;
using image::WalFile;

constexpr uint64_t kLargestSegment = 1ULL << 30;
constexpr size_t kSegmentName = 24;
constexpr size_t kDirectoryName = 16;  // of a segment's name
constexpr size_t kSha1Text = 40;
constexpr std::string_view kPartial = ".partial";
constexpr std::string_view kHistory = ".history";

// A file of the archive, its name taken apart.
struct ArchivedFile {
  std::string path;      // relative to the repository's directory
  std::string wal_name;  // without ".partial"
  bool partial = false;
  std::string sha1;  // empty where the name has none: history files
  CompressType compress_type = CompressType::kNone;
};

bool IsSha1(std::string_view text) {
  return text.size() == kSha1Text &&
         std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool IsTimelineHistory(std::string_view name) {
  constexpr size_t kTimeline = 8;
  return name.size() == kTimeline + kHistory.size() && name.ends_with(kHistory) &&
         ParseHex(name.substr(0, kTimeline)).has_value();
}

bool IsBackupHistory(std::string_view name) {
  return name.ends_with(".backup") && pgdata::LooksLikeSegmentName(name.substr(0, name.find('.')));
}

std::optional<ArchivedFile> TakeApart(const std::string& directory, std::string_view name) {
  ArchivedFile file{.path = JoinPath(directory, name), .wal_name = std::string(name), .sha1 = {}};
  if (IsTimelineHistory(name) || IsBackupHistory(name)) return file;
  if (!pgdata::LooksLikeSegmentName(name.substr(0, kSegmentName))) return std::nullopt;
  file.wal_name.resize(kSegmentName);
  name.remove_prefix(kSegmentName);
  if (name.starts_with(kPartial)) {
    file.partial = true;
    name.remove_prefix(kPartial.size());
  }
  if (!name.starts_with('-')) return std::nullopt;
  name.remove_prefix(1);
  file.sha1 = name.substr(0, kSha1Text);
  name.remove_prefix(file.sha1.size());
  file.compress_type = CompressTypeByName(name);
  if (!IsSha1(file.sha1) || name != SuffixOf(file.compress_type)) return std::nullopt;
  return file;
}

// An archived file whose bytes have to be made. It holds none of them.
class PackedFile final : public ImageFile {
 public:
  using Unpack = image::UnpackedSegments::Unpack;

  PackedFile(std::string key, Unpack unpack, std::shared_ptr<image::UnpackedSegments> unpacked)
      : key_(std::move(key)), unpack_(std::move(unpack)), unpacked_(std::move(unpacked)) {}

  // Before anything else: unpacks it for the first time.
  Status Measure() {
    return unpacked_->Use(key_, unpack_, [this](ByteView content) -> Status {
      size_ = content.size();
      return {};
    });
  }

  [[nodiscard]] uint64_t size() const override { return size_; }
  Status ReadAt(uint64_t offset, MutableBytes out) const override {
    return unpacked_->Use(key_, unpack_,
                          [&](ByteView content) { return image::MakeBufferView(content)->ReadAt(offset, out); });
  }

 private:
  const std::string key_;
  const Unpack unpack_;
  const std::shared_ptr<image::UnpackedSegments> unpacked_;
  uint64_t size_ = 0;
};

class Archive final : public image::WalArchive {
 public:
  Archive(std::string root, std::vector<std::string> directories, std::string passphrase)
      : files_(std::make_shared<StoredFiles>(std::move(root))),
        directories_(std::move(directories)),
        passphrase_(std::move(passphrase)),
        name_(JoinPath(files_->root(), directories_.back())) {}

  [[nodiscard]] const std::string& name() const override { return name_; }

  Result<std::vector<WalFile>> List() const override {
    std::map<std::string, bool> partial;  // by name
    const auto add = [&](const ArchivedFile& file) {
      const auto [known, added] = partial.try_emplace(file.wal_name, file.partial);
      if (!added && !file.partial) known->second = false;
    };
    for (const auto& directory : directories_) {
      PGS_ASSIGN(const auto names, io::ListDirectory(JoinPath(files_->root(), directory)));
      for (const auto& name : names) {
        if (const auto file = TakeApart(directory, name)) add(*file);
        if (name.size() != kDirectoryName || !ParseHex(name)) continue;
        PGS_ASSIGN(const auto found, FilesIn(JoinPath(directory, name)));
        std::ranges::for_each(found, add);
      }
    }
    std::vector<WalFile> files;
    files.reserve(partial.size());
    for (const auto& [name, is_partial] : partial) files.push_back({.name = name, .partial = is_partial});
    return files;
  }

  Result<std::unique_ptr<ImageFile>> Open(std::string_view wal_name) const override {
    const bool is_in_root = IsTimelineHistory(wal_name);
    if (!is_in_root && !IsBackupHistory(wal_name) && !pgdata::LooksLikeSegmentName(wal_name)) {
      return Fail(ErrorCode::kInvalidArgument, Quoted(wal_name) + " is not the name of a WAL file");
    }
    std::optional<ArchivedFile> best;
    for (const auto& directory : directories_) {
      const auto place = is_in_root ? directory : JoinPath(directory, wal_name.substr(0, kDirectoryName));
      PGS_ASSIGN(const auto found, FilesIn(place));
      for (const auto& file : found) {
        if (file.wal_name != wal_name) continue;
        if (best && best->partial == file.partial && best->sha1 != file.sha1) return Ambiguous(*best, file);
        if (!best || !file.partial) best = file;
      }
    }
    if (best) return OpenFile(*best);
    return Fail(ErrorCode::kNotFound, "there is no " + Quoted(wal_name) + " in " + Quoted(name_));
  }

 private:
  static std::unexpected<Error> Ambiguous(const ArchivedFile& one, const ArchivedFile& other) {
    return Fail(Error(ErrorCode::kCorrupt, Quoted(one.path) + " and " + Quoted(other.path) +
                                               " of the repository are different WAL of the same name")
                    .WithHint("two clusters archived into the same stanza; find out which of the two files is right"));
  }

  // Of a directory that is not there: none.
  Result<std::vector<ArchivedFile>> FilesIn(const std::string& directory) const {
    std::vector<ArchivedFile> files;
    const auto names = io::ListDirectory(JoinPath(files_->root(), directory));
    if (!names) {
      if (names.error().code() == ErrorCode::kNotFound) return files;
      return Fail(names.error());
    }
    for (const auto& name : *names) {
      if (auto file = TakeApart(directory, name)) files.push_back(*std::move(file));
    }
    return files;
  }

  Result<std::unique_ptr<ImageFile>> OpenFile(const ArchivedFile& file) const {
    if (passphrase_.empty() && file.compress_type == CompressType::kNone) {
      PGS_ASSIGN(auto plain, image::OpenNativeFile(JoinPath(files_->root(), file.path)));
      PGS_TRY(CheckPlain(file, *plain));
      return plain;
    }
    PGS_ASSIGN(const uint64_t size, files_->SizeOf(file.path));
    const auto unpack = [files = files_, file, size, passphrase = passphrase_] {
      return Unpack(*files, file, size, passphrase);
    };
    auto packed = std::make_unique<PackedFile>(file.path, unpack, unpacked_);
    PGS_TRY(packed->Measure());
    return packed;
  }

  // Reads all of it, the first time.
  Status CheckPlain(const ArchivedFile& file, const image::NativeFile& content) const {
    if (file.sha1.empty()) return {};
    const std::string key = file.path + ' ' + std::to_string(content.fingerprint().Digest());
    {
      const std::lock_guard lock(mutex_);
      if (right_.contains(key)) return {};
    }
    codec::Sha1 hash;
    std::vector<std::byte> buffer(std::min<uint64_t>(content.size(), 1 << 20));
    for (uint64_t offset = 0; offset < content.size();) {
      const auto piece = MutableBytes(buffer).first(std::min<uint64_t>(buffer.size(), content.size() - offset));
      PGS_TRY(content.ReadAt(offset, piece));
      hash.Update(piece);
      offset += piece.size();
    }
    if (codec::ToHex(hash.Finish()) != file.sha1) return OtherSha1(file);
    const std::lock_guard lock(mutex_);
    right_.insert(key);
    return {};
  }

  static std::unexpected<Error> OtherSha1(const ArchivedFile& file) {
    return Fail(ErrorCode::kCorrupt, "the archived WAL " + Quoted(file.path) + " has not the SHA-1 that its name says");
  }

  static Result<std::vector<std::byte>> Unpack(const StoredFiles& files, const ArchivedFile& file, uint64_t size,
                                               const std::string& passphrase) {
    auto source = files.Source({.path = file.path, .offset = 0, .size = size});
    if (!passphrase.empty()) source = codec::Decrypting(passphrase, codec::SaltHeader::kMagic, std::move(source));
    if (file.compress_type != CompressType::kNone) {
      PGS_ASSIGN(source, codec::Decompressing(CompressionOf(file.compress_type, false), std::move(source)));
    }
    auto content = codec::ReadAll(*source, kLargestSegment);
    if (!content) return Fail(std::move(content).error().Wrap("the archived WAL " + Quoted(file.path)));
    if (file.sha1.empty() || codec::ToHex(codec::Sha1::Of(*content)) == file.sha1) return content;
    return OtherSha1(file);
  }

  const std::shared_ptr<StoredFiles> files_;
  const std::vector<std::string> directories_;  // the newest last
  const std::string passphrase_;
  const std::string name_;
  const std::shared_ptr<image::UnpackedSegments> unpacked_ = std::make_shared<image::UnpackedSegments>();

  mutable std::mutex mutex_;
  // Guarded by mutex_: plain segments that were found right, each in one state of its file.
  mutable std::set<std::string> right_;
};

}  // namespace

std::unique_ptr<image::WalArchive> MakeArchive(std::string root, std::vector<std::string> directories,
                                               std::string passphrase) {
  return std::make_unique<Archive>(std::move(root), std::move(directories), std::move(passphrase));
}

}  // namespace pgstrata::pgbackrest
