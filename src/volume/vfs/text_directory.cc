#include "volume/vfs/text_directory.h"

#include <algorithm>
#include <optional>

namespace pgstrata::vfs {

Attributes TextDirectory::Describe(Inode inode, const Snapshot& snapshot) const {
  return {.inode = inode,
          .shown_inode = inode.value,
          .mode = S_IFREG | 0444,
          .uid = owner_.uid,
          .gid = owner_.gid,
          .size = snapshot.text.size(),
          .blocks = (snapshot.text.size() + 511) / 512,
          .accessed = snapshot.made,
          .modified = snapshot.made,
          .changed = snapshot.made,
          .passing = true};
}

FsResult<Attributes> TextDirectory::Lookup(Inode parent, std::string_view name) {
  if (parent != kRootInode) return FsError(ENOTDIR);
  const auto file = std::ranges::find(files_, name, &TextFile::name);
  if (file == files_.end()) return FsError(ENOENT);
  auto text = file->text();
  if (!text) return FsError(ENOENT);
  Snapshot snapshot{.text = *std::move(text), .references = 1};
  ::clock_gettime(CLOCK_REALTIME, &snapshot.made);
  const std::scoped_lock lock(mutex_);
  const Inode inode{++last_number_};
  return Describe(inode, snapshots_.emplace(inode, std::move(snapshot)).first->second);
}

void TextDirectory::Forget(Inode inode, uint64_t references) {
  const std::scoped_lock lock(mutex_);
  const auto snapshot = snapshots_.find(inode);
  if (snapshot == snapshots_.end()) return;
  snapshot->second.references -= std::min(references, snapshot->second.references);
  if (snapshot->second.references == 0) snapshots_.erase(snapshot);
}

FsResult<Attributes> TextDirectory::GetAttributes(Inode inode) {
  if (inode == kRootInode) {
    return Attributes{.inode = inode,
                      .shown_inode = inode.value,
                      .mode = S_IFDIR | 0555,
                      .link_count = 2,
                      .uid = owner_.uid,
                      .gid = owner_.gid};
  }
  const std::scoped_lock lock(mutex_);
  const auto snapshot = snapshots_.find(inode);
  if (snapshot == snapshots_.end()) return FsError(ESTALE);
  return Describe(inode, snapshot->second);
}

FsResult<size_t> TextDirectory::Read(Inode inode, uint64_t offset, MutableBytes out) {
  if (inode == kRootInode) return FsError(EISDIR);
  const std::scoped_lock lock(mutex_);
  const auto snapshot = snapshots_.find(inode);
  if (snapshot == snapshots_.end()) return FsError(ESTALE);
  const ByteView text = AsBytes(snapshot->second.text);
  if (offset >= text.size()) return 0;
  const ByteView part = text.subspan(offset, std::min<uint64_t>(out.size(), text.size() - offset));
  std::ranges::copy(part, out.begin());
  return part.size();
}

FsResult<uint64_t> TextDirectory::Seek(Inode inode, uint64_t offset, SeekTarget target) {
  const auto attributes = GetAttributes(inode);
  if (!attributes) return std::unexpected(attributes.error());
  if (offset >= attributes->size) return FsError(ENXIO);
  return target == SeekTarget::kData ? offset : attributes->size;
}

FsStatus TextDirectory::ReadDirectory(Inode inode, uint64_t cookie, const DirectoryVisitor& visit) {
  if (inode != kRootInode) return FsError(ENOTDIR);
  for (uint64_t i = cookie; i < files_.size(); ++i) {
    const Inode listed{i + 2};
    const DirectoryEntry entry{
        .name = files_[i].name, .inode = listed, .shown_inode = listed.value, .type = S_IFREG, .next_cookie = i + 1};
    if (!visit(entry)) break;
  }
  return {};
}

}  // namespace pgstrata::vfs
