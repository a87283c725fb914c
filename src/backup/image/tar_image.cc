#include "backup/image/tar_image.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "backup/image/tar_part.h"
#include "backup/image/tar_tree.h"
#include "backup/image/tar_walk.h"
#include "foundation/base/text.h"
#include "foundation/codec/decompress.h"
#include "foundation/io/directory.h"
#include "postgres/pgdata/backup_manifest.h"
#include "postgres/pgdata/tablespace_map.h"

namespace pgstrata::image {
namespace {

constexpr std::string_view kBaseName = "base.tar";
constexpr std::string_view kSuffix = ".tar";
constexpr size_t kOpenParts = 16;

Error InPart(Error error, const std::string& part) { return std::move(error).Wrap(Quoted(part)); }

// What a file of a backup in tar format is, by its name: where its members come. Nothing for other files.
std::optional<std::string> PlaceOf(std::string_view stem) {
  if (!stem.ends_with(kSuffix)) return std::nullopt;
  if (stem == kBaseName) return "";
  stem.remove_suffix(kSuffix.size());
  if (stem == "pg_wal") return "pg_wal";
  const auto oid = ParseDecimal(stem);
  if (!oid || *oid == 0 || stem.starts_with('0')) return std::nullopt;
  return JoinPath(kTarTablespaces, stem);
}

Result<std::vector<TarPart>> PartsOfDirectory(const std::string& directory,
                                              const std::shared_ptr<DecodedCache>& cache) {
  PGS_ASSIGN(const auto names, io::ListDirectory(directory));
  std::vector<TarPart> parts;
  std::optional<TarPart> wal;
  for (const auto& name : names) {
    const std::string path = JoinPath(directory, name);
    if (name == pgdata::kBackupManifestPath) {
      PGS_ASSIGN(parts.emplace_back(), MakeFilePart(path, name));
      continue;
    }
    const auto [stem, compression] = codec::CompressionBySuffix(name);
    const auto place = PlaceOf(stem);
    if (!place) continue;
    const bool is_packed = compression != codec::Compression::kNone;
    if (is_packed && std::ranges::binary_search(names, stem)) continue;  // unpacked beside itself
    PGS_ASSIGN(parts.emplace_back(), MakeArchivePart(path, *place, cache));
  }
  // The base first: it says who owns what no archive describes.
  std::ranges::stable_partition(parts, [](const TarPart& part) { return part.is_archive && part.place.empty(); });
  return parts;
}

}  // namespace

// One member. Its bytes lie in one piece in its part.
class TarImage::MemberFile final : public ImageFile {
 public:
  MemberFile(const TarPart& part, std::string key, const Node& node, std::string path,
             std::shared_ptr<LruCache<ImageFile>> opened)
      : open_(part.open),
        path_(std::move(path)),
        key_(std::move(key)),
        data_(node.data),
        size_(node.entry.size),
        opened_(std::move(opened)) {}

  [[nodiscard]] uint64_t size() const override { return size_; }

  Status ReadAt(uint64_t offset, MutableBytes out) const override {
    if (out.empty()) return {};
    Status read;
    if (const auto bytes = opened_->Get(key_, open_)) {
      read = (*bytes)->ReadAt(data_ + offset, out);
    } else {
      read = Fail(bytes.error());
    }
    return read ? read : Fail(InPart(std::move(read).error(), path_));
  }

 private:
  const std::function<Result<std::unique_ptr<ImageFile>>()> open_;
  const std::string path_;
  const std::string key_;
  const uint64_t data_;
  const uint64_t size_;
  const std::shared_ptr<LruCache<ImageFile>> opened_;
};

TarImage::TarImage(std::string name, std::vector<TarPart> parts)
    : name_(std::move(name)), parts_(std::move(parts)), opened_(std::make_shared<LruCache<ImageFile>>(kOpenParts)) {}

Result<std::unique_ptr<TarImage>> TarImage::Create(std::string name, std::vector<TarPart> parts) {
  std::unique_ptr<TarImage> image(new TarImage(std::move(name), std::move(parts)));
  TarTree tree;
  for (uint32_t number = 0; number < image->parts_.size(); ++number) {
    const TarPart& part = image->parts_[number];
    PGS_ASSIGN(const auto bytes, image->Bytes(number));
    if (!part.is_archive) {
      tree.AddFile(part.place, bytes->size(), number);
      continue;
    }
    if (part.packed_size > 0) {
      image->decoded_.Add({.files = 1,
                           .bytes = bytes->size(),
                           .stored_bytes = part.packed_size,
                           .files_in_cache = 1,
                           .largest = std::string(SplitLast(part.name).second),
                           .largest_bytes = bytes->size()});
    }
    tree.AddDirectory(part.place);
    const auto walked =
        VisitTarMembers(*bytes, [&](const TarMember& member) { return tree.Add(member, part.place, number); });
    if (!walked) return Fail(InPart(walked.error(), part.name));
  }
  if (const auto moved = tree.MoveInto(*image); !moved) return Fail(InPart(moved.error(), image->name_));
  PGS_TRY(image->FindMissingTablespaces());
  return image;
}

Result<std::shared_ptr<const ImageFile>> TarImage::Bytes(uint32_t part) const {
  return opened_->Get(std::to_string(part), parts_[part].open);
}

Result<const TarImage::Node*> TarImage::Find(std::string_view path) const {
  const auto [parent, name] = SplitLast(path);
  if (const auto holder = directories_.find(parent); holder != directories_.end() && !name.empty()) {
    const auto name_of = [](const Node& node) -> std::string_view { return node.entry.name; };
    const auto found = std::ranges::lower_bound(holder->second, name, {}, name_of);
    if (found != holder->second.end() && found->entry.name == name) return &*found;
  }
  return Fail(ErrorCode::kNotFound, "there is no " + Quoted(path) + " in " + Quoted(name_));
}

Result<Entry> TarImage::Stat(std::string_view path) const {
  if (path.empty()) return root_;
  PGS_ASSIGN(const Node* node, Find(path));
  return node->entry;
}

Result<std::vector<Entry>> TarImage::List(std::string_view directory) const {
  const auto found = directories_.find(directory);
  if (found == directories_.end()) {
    return Fail(ErrorCode::kNotFound, "there is no directory " + Quoted(directory) + " in " + Quoted(name_));
  }
  std::vector<Entry> entries;
  entries.reserve(found->second.size());
  for (const Node& node : found->second) entries.push_back(node.entry);
  return entries;
}

Result<std::unique_ptr<ImageFile>> TarImage::Open(std::string_view path) const {
  if (path.empty()) return Fail(ErrorCode::kInvalidArgument, Quoted(name_) + " is a directory, not a file");
  PGS_ASSIGN(const Node* node, Find(path));
  if (node->entry.kind != EntryKind::kFile) {
    return Fail(ErrorCode::kInvalidArgument, Quoted(path) + " of " + Quoted(name_) + " is not a regular file");
  }
  return std::make_unique<MemberFile>(parts_[node->part], std::to_string(node->part), *node, std::string(path),
                                      opened_);
}

Status TarImage::VisitParts(const PartVisitor& visit) const {
  for (const TarPart& part : parts_) {
    // An archive of PGDATA has any name.
    const std::string_view place = part.place.empty() ? kBaseName : std::string_view(part.place);
    PGS_TRY(visit({.name = place, .file = &part.file}));
  }
  return {};
}

// What tablespace_map names and no archive holds, beside the links that were left out.
Status TarImage::FindMissingTablespaces() {
  std::erase_if(missing_, [&](const MissingTablespace& link) {
    return directories_.contains(JoinPath(kTarTablespaces, link.oid));
  });
  const auto text = ReadSmallFile(*this, pgdata::kTablespaceMapPath);
  if (!text && text.error().code() == ErrorCode::kNotFound) return {};
  PGS_TRY(text);
  const auto mappings = pgdata::ParseTablespaceMap(*text);
  if (!mappings) return Fail(InPart(mappings.error(), name_));
  for (const auto& [oid, location] : *mappings) {
    const std::string name = std::to_string(oid.value);
    if (directories_.contains(JoinPath(kTarTablespaces, name))) continue;
    if (std::ranges::find(missing_, name, &MissingTablespace::oid) == missing_.end())
      missing_.push_back({name, location});
  }
  return {};
}

bool HoldsTarBackup(const std::string& directory) {
  constexpr std::array<const char*, 4> kNames = {"base.tar", "base.tar.gz", "base.tar.lz4", "base.tar.zst"};
  return std::ranges::any_of(kNames, [&](const char* name) { return io::Exists(JoinPath(directory, name)); });
}

Result<std::unique_ptr<TarImage>> OpenTar(const std::string& path, const std::shared_ptr<DecodedCache>& cache) {
  PGS_ASSIGN(const std::string resolved, io::ResolvePath(path));
  PGS_ASSIGN(const struct stat status, io::StatTarget(resolved));
  const auto [directory, name] = SplitLast(resolved);
  std::vector<TarPart> parts;
  if (S_ISDIR(status.st_mode) && HoldsTarBackup(resolved)) {
    PGS_ASSIGN(parts, PartsOfDirectory(resolved, cache));
  } else if (S_ISREG(status.st_mode) && codec::CompressionBySuffix(name).stem == kBaseName) {
    PGS_ASSIGN(parts, PartsOfDirectory(directory.empty() ? "/" : std::string(directory), cache));
  } else if (S_ISREG(status.st_mode)) {
    PGS_ASSIGN(parts.emplace_back(), MakeArchivePart(resolved, "", cache));
  } else {
    return Fail(ErrorCode::kInvalidArgument, Quoted(path) + " is neither a tar file nor a directory with base.tar");
  }
  return TarImage::Create(path, std::move(parts));
}

}  // namespace pgstrata::image
