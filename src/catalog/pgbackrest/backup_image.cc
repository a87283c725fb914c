#include "catalog/pgbackrest/backup_image.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

#include "backup/image/buffer_file.h"
#include "backup/image/page_checked_file.h"
#include "catalog/pgbackrest/backup_files.h"
#include "foundation/base/parallel.h"
#include "foundation/base/text.h"
#include "foundation/codec/sha256.h"
#include "foundation/io/process.h"

namespace pgstrata::pgbackrest {
namespace {

constexpr uint64_t kSmallInMemory = 32ULL << 20;

}  // namespace

BackupImage::BackupImage(std::string name, std::shared_ptr<const StoredContent> content,
                         std::shared_ptr<image::DecodedCache> cache, FileTree tree)
    : name_(std::move(name)),
      content_(std::move(content)),
      cache_(std::move(cache)),
      tree_(std::move(tree)),
      small_(std::make_shared<Small>(kSmallInMemory)) {}

Result<std::unique_ptr<BackupImage>> BackupImage::Make(std::string name, std::shared_ptr<const StoredContent> content,
                                                       std::shared_ptr<image::DecodedCache> cache) {
  PGS_ASSIGN(FileTree tree, FileTree::Make(content->manifest()));
  PGS_ASSIGN(const auto self, io::CurrentUser());
  std::unique_ptr<BackupImage> image(
      new BackupImage(std::move(name), std::move(content), std::move(cache), std::move(tree)));
  for (const auto& owner : image->manifest().owners) {
    const auto user = owner.user.empty() ? Result<io::UserIdentity>(self) : io::FindUser(owner.user);
    image->ids_.push_back(user ? Ids{.uid = user->uid, .gid = user->gid} : Ids{.uid = self.uid, .gid = self.gid});
  }
  if (image->ids_.empty()) image->ids_.push_back({.uid = self.uid, .gid = self.gid});
  return image;
}

image::Entry BackupImage::Describe(const FileTree::Node& node) const {
  constexpr int64_t kNanosecondsPerSecond = 1'000'000'000;
  const Ids& ids = ids_[node.owner == FileTree::kNone ? 0 : node.owner];
  image::Entry entry{.name = std::string(node.name),
                     .kind = image::EntryKind::kDirectory,
                     .mode = node.mode,
                     .uid = ids.uid,
                     .gid = ids.gid};
  entry.modified.unix_ns = manifest().start_time * kNanosecondsPerSecond;
  if (node.file == FileTree::kNone) return entry;
  const ManifestFile& file = manifest().files[node.file];
  entry.kind = image::EntryKind::kFile;
  entry.size = file.size;
  entry.modified.unix_ns = file.modified * kNanosecondsPerSecond;
  return entry;
}

Result<image::Entry> BackupImage::Stat(std::string_view path) const {
  const auto* node = tree_.Find(path);
  if (node != nullptr) return Describe(*node);
  return Fail(ErrorCode::kNotFound, "there is no " + Quoted(path) + " in " + Quoted(name_));
}

Result<std::vector<image::Entry>> BackupImage::List(std::string_view directory) const {
  const auto* node = tree_.Find(directory);
  if (node == nullptr || node->file != FileTree::kNone) {
    return Fail(ErrorCode::kNotFound, Quoted(directory) + " of " + Quoted(name_) + " is not a directory");
  }
  std::vector<image::Entry> entries;
  entries.reserve(node->children.size());
  for (const uint32_t child : node->children) entries.push_back(Describe(tree_.node(child)));
  return entries;
}

bool BackupImage::IsDecodedInMemory(const ManifestFile& file) const { return file.size <= kSmall || !cache_; }

// The content itself where the manifest tells what it is: backups that share it share what was decoded.
std::string BackupImage::CacheKeyOf(const ManifestFile& file) const {
  if (file.checksum) return "sha1 " + codec::ToHex(*file.checksum) + ' ' + std::to_string(file.size);
  const StoredRange range = content_->RangeOf(file);
  return "pgbackrest " + std::to_string(manifest().system_identifier) + ' ' + content_->files().root() + '/' +
         range.path + ' ' + std::to_string(range.offset) + ' ' + std::to_string(file.size);
}

Result<std::unique_ptr<image::ImageFile>> BackupImage::Open(std::string_view path) const {
  const auto* node = tree_.Find(path);
  if (node == nullptr) return Fail(ErrorCode::kNotFound, "there is no file " + Quoted(path) + " in " + Quoted(name_));
  if (node->file == FileTree::kNone) {
    return Fail(ErrorCode::kInvalidArgument, Quoted(path) + " of " + Quoted(name_) + " is not a regular file");
  }
  const ManifestFile& file = manifest().files[node->file];
  if (file.size == 0) return image::MakeBufferFile({});
  if (file.is_block_incremental()) return MakeBlockFile(content_, file);
  if (content_->HasRandomAccess(file)) return OpenStored(file);
  if (IsDecodedInMemory(file)) return MakeSmallFile(content_, small_, file);
  return MakeStreamFile(content_, file, cache_, CacheKeyOf(file));
}

// Of a file that is stored as it is, only all of it has a checksum: pages are compared with their own, and what has no
// pages is read whole where it is small.
Result<std::unique_ptr<image::ImageFile>> BackupImage::OpenStored(const ManifestFile& file) const {
  const auto first_in_fork = image::FirstBlockToRefuseOf(ImagePathOf(file.name));
  if (!first_in_fork && file.size <= kSmall) return MakeSmallFile(content_, small_, file);
  auto stored = MakePlainFile(content_, file);
  if (!first_in_fork || !file.checksum_page || file.has_page_errors) return stored;
  const image::PageOrigin origin{
      .backup = manifest().labels[file.holder],
      .rules = {.checksums = true, .torn_from = Lsn::Parse(manifest().start_lsn), .torn_until = {}}};
  return image::MakePageCheckedFile(std::move(stored), std::string(ImagePathOf(file.name)), *first_in_fork,
                                    [origin](uint32_t) { return origin; });
}

std::vector<const ManifestFile*> BackupImage::Streams() const {
  std::vector<const ManifestFile*> streams;
  for (const auto& file : manifest().files) {
    if (file.size == 0 || content_->HasRandomAccess(file) || IsDecodedInMemory(file)) continue;
    streams.push_back(&file);
  }
  return streams;
}

image::FirstTouch BackupImage::CostOfFirstTouch() const {
  image::FirstTouch cost;
  for (const auto* file : Streams()) {
    cost.Add({.files = 1,
              .bytes = file->size,
              .stored_bytes = file->stored_size,
              .files_in_cache = cache_->Holds(CacheKeyOf(*file)) ? 1U : 0U,
              .largest = std::string(ImagePathOf(file->name)),
              .largest_bytes = file->size});
  }
  return cost;
}

// A byte here and there is enough: the cache decodes all that lies before it. With the last one the whole is found
// right, and kept.
Status BackupImage::DecodeWhole(const ManifestFile& file, const image::DecodeProgress& progress) const {
  constexpr uint64_t kStep = 4ULL << 20;
  const auto decoded = MakeStreamFile(content_, file, cache_, CacheKeyOf(file));
  std::array<std::byte, 1> byte{};
  for (uint64_t done = 0; done < file.size;) {
    const uint64_t step = std::min(kStep, file.size - done);
    PGS_TRY(decoded->ReadAt(done + step - 1, byte));
    done += step;
    if (!progress(step)) return Fail(ErrorCode::kCancelled, "the decoding was stopped");
  }
  return {};
}

Status BackupImage::DecodeAll(const image::DecodeProgress& progress) const {
  auto streams = Streams();
  std::erase_if(streams, [&](const ManifestFile* file) {
    if (!cache_->Holds(CacheKeyOf(*file))) return false;
    progress(file->size);
    return true;
  });
  std::ranges::sort(streams, std::ranges::greater(), &ManifestFile::size);
  std::atomic<bool> failed = false;
  std::mutex mutex;
  Status result;  // guarded by mutex: the first failure
  ForEachInParallel(streams.size(), std::thread::hardware_concurrency(), [&](size_t number) {
    const auto decoded = failed ? Status() : DecodeWhole(*streams[number], progress);
    if (decoded) return;
    failed = true;
    const std::lock_guard lock(mutex);
    if (result) result = decoded;
  });
  return result;
}

}  // namespace pgstrata::pgbackrest
