#include "backup/image/overlay_image.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "foundation/base/text.h"

namespace pgstrata::image {

ImageWithFiles::ImageWithFiles(std::shared_ptr<const Image> base) : base_(std::move(base)) {}

Status ImageWithFiles::Add(const std::string& path, Opener open, std::optional<uint64_t> size) {
  const auto [directory, name] = SplitLast(path);
  PGS_ASSIGN(const std::string followed, FollowLinks(*base_, directory));
  const std::string place = JoinPath(followed, name);
  PGS_TRY(AddParents(place));
  children_[followed].insert_or_assign(std::string(name), false);
  added_.insert_or_assign(place, std::move(open));
  if (size) sizes_.insert_or_assign(place, *size);
  return {};
}

Status ImageWithFiles::AddParents(const std::string& path) {
  for (auto parent = SplitLast(path).first; !parent.empty(); parent = SplitLast(parent).first) {
    const auto entry = base_->Stat(parent);
    if (!entry && entry.error().code() != ErrorCode::kNotFound) return Fail(entry.error());
    if (entry && entry->kind == EntryKind::kDirectory) return {};
    const auto [directory, name] = SplitLast(parent);
    children_[std::string(directory)].insert_or_assign(std::string(name), true);
  }
  return {};
}

// Whether an added file lies above `path`, or a directory that the base lacks: nothing of the base shows through there.
bool ImageWithFiles::IsHidden(std::string_view path) const {
  for (auto [directory, name] = SplitLast(path); !name.empty(); std::tie(directory, name) = SplitLast(directory)) {
    const auto found = children_.find(directory);
    if (found != children_.end() && found->second.contains(name)) return true;
  }
  return false;
}

Result<Entry> ImageWithFiles::Describe(std::string_view path, bool is_directory) const {
  constexpr uint32_t kFileMode = 0600;
  constexpr uint32_t kDirectoryMode = 0700;
  PGS_ASSIGN(Entry entry, base_->Stat(""));
  entry.name = SplitLast(path).second;
  entry.mode = is_directory ? kDirectoryMode : kFileMode;
  if (is_directory) return entry;
  entry.kind = EntryKind::kFile;
  {
    const std::lock_guard lock(mutex_);
    const auto known = sizes_.find(path);
    if (known != sizes_.end()) {
      entry.size = known->second;
      return entry;
    }
  }
  PGS_ASSIGN(const auto file, added_.find(path)->second());
  const std::lock_guard lock(mutex_);
  entry.size = sizes_.try_emplace(std::string(path), file->size()).first->second;
  return entry;
}

Result<Entry> ImageWithFiles::Stat(std::string_view path) const {
  const auto [directory, name] = SplitLast(path);
  if (const auto laid_over = children_.find(directory); laid_over != children_.end()) {
    const auto child = laid_over->second.find(name);
    if (child != laid_over->second.end()) return Describe(path, child->second);
  }
  if (IsHidden(path)) return Fail(ErrorCode::kNotFound, "there is no " + Quoted(path) + " in " + Quoted(this->name()));
  return base_->Stat(path);
}

Result<std::vector<Entry>> ImageWithFiles::List(std::string_view directory) const {
  std::vector<Entry> entries;
  const auto laid_over = children_.find(directory);
  if (!IsHidden(directory)) {
    PGS_ASSIGN(entries, base_->List(directory));
  } else if (laid_over == children_.end()) {
    return Fail(ErrorCode::kNotFound, Quoted(directory) + " of " + Quoted(name()) + " is not a directory");
  }
  if (laid_over == children_.end()) return entries;
  const Children& children = laid_over->second;
  std::erase_if(entries, [&](const Entry& entry) { return children.contains(entry.name); });
  for (const auto& [child, is_directory] : children) {
    PGS_ASSIGN(entries.emplace_back(), Describe(JoinPath(directory, child), is_directory));
  }
  std::ranges::sort(entries, {}, &Entry::name);
  return entries;
}

Result<std::unique_ptr<ImageFile>> ImageWithFiles::Open(std::string_view path) const {
  const auto added = added_.find(path);
  if (added == added_.end()) {
    if (IsHidden(path)) return Fail(ErrorCode::kNotFound, "there is no file " + Quoted(path) + " in " + Quoted(name()));
    return base_->Open(path);
  }
  PGS_ASSIGN(auto file, added->second());
  const std::lock_guard lock(mutex_);
  const uint64_t size = sizes_.try_emplace(std::string(path), file->size()).first->second;
  if (file->size() == size) return file;
  return Fail(ErrorCode::kCorrupt,
              Quoted(path) + " is " + std::to_string(file->size()) + " bytes long, not " + std::to_string(size));
}

}  // namespace pgstrata::image
