#include "branch/branch/volume_part.h"

#include <algorithm>

#include "foundation/base/text.h"

namespace pgstrata::branch {
namespace {

using image::Entry;
using image::EntryKind;

Error ToError(vfs::Errno error, std::string_view path) {
  return Error::FromErrno(error.value, "could not read " + Quoted(path));
}

// An inode with a reference to it.
class HeldInode {
 public:
  HeldInode(vfs::FileSystem& volume, vfs::Inode inode) : volume_(volume), inode_(inode) {}
  HeldInode(const HeldInode&) = delete;
  HeldInode& operator=(const HeldInode&) = delete;
  ~HeldInode() { volume_.Forget(inode_, 1); }

 private:
  vfs::FileSystem& volume_;
  const vfs::Inode inode_;
};

class PartFile final : public image::ImageFile {
 public:
  PartFile(vfs::FileSystem& volume, const vfs::Attributes& attributes, std::string path)
      : volume_(volume),
        inode_(attributes.inode),
        held_(volume, inode_),
        size_(attributes.size),
        path_(std::move(path)) {}

  [[nodiscard]] uint64_t size() const override { return size_; }

  Status ReadAt(uint64_t offset, MutableBytes out) const override {
    while (!out.empty()) {
      const auto read = volume_.Read(inode_, offset, out);
      if (!read) return Fail(ToError(read.error(), path_));
      if (*read == 0) return Fail(ErrorCode::kCorrupt, Quoted(path_) + " is shorter than it was");
      offset += *read;
      out = out.subspan(*read);
    }
    return {};
  }

 private:
  vfs::FileSystem& volume_;
  const vfs::Inode inode_;
  const HeldInode held_;
  const uint64_t size_;
  const std::string path_;
};

EntryKind EntryKindOf(mode_t mode) {
  if (S_ISDIR(mode)) return EntryKind::kDirectory;
  return S_ISLNK(mode) ? EntryKind::kLink : EntryKind::kFile;
}

}  // namespace

Result<vfs::Attributes> VolumePart::Find(std::string_view path) const {
  const std::string whole = JoinPath(directory_, path);
  auto found = volume_.GetAttributes(vfs::kRootInode);
  for (const std::string_view name : Split(whole, '/')) {
    if (!found) break;
    if (name == "." || name == "..") return Fail(ErrorCode::kNotFound, "there is no " + Quoted(whole));
    const vfs::Inode parent = found->inode;
    found = volume_.Lookup(parent, name);
    volume_.Forget(parent, 1);
  }
  if (!found) return Fail(ToError(found.error(), whole));
  return *found;
}

Result<Entry> VolumePart::EntryOf(const vfs::Attributes& attributes, std::string_view path) const {
  Entry entry{.name = std::string(SplitLast(path).second),
              .kind = EntryKindOf(attributes.mode),
              .mode = attributes.mode & 07777U,
              .uid = attributes.uid,
              .gid = attributes.gid,
              .size = attributes.size};
  entry.modified = Timestamp{int64_t{attributes.modified.tv_sec} * 1'000'000'000 + attributes.modified.tv_nsec};
  if (entry.kind != EntryKind::kLink) return entry;
  auto target = volume_.ReadLink(attributes.inode);
  if (!target) return Fail(ToError(target.error(), path));
  entry.link_target = *std::move(target);
  return entry;
}

Result<Entry> VolumePart::Stat(std::string_view path) const {
  PGS_ASSIGN(const auto attributes, Find(path));
  const HeldInode held(volume_, attributes.inode);
  return EntryOf(attributes, path);
}

Result<std::vector<Entry>> VolumePart::List(std::string_view directory) const {
  PGS_ASSIGN(const auto attributes, Find(directory));
  const HeldInode held(volume_, attributes.inode);
  if (!S_ISDIR(attributes.mode)) return Fail(ErrorCode::kNotFound, Quoted(directory) + " is not a directory");
  std::vector<std::string> names;
  const auto read = volume_.ReadDirectory(attributes.inode, 0, [&](const vfs::DirectoryEntry& entry) {
    names.emplace_back(entry.name);
    return true;
  });
  if (!read) return Fail(ToError(read.error(), directory));
  std::ranges::sort(names);
  std::vector<Entry> entries;
  for (const auto& name : names) {
    PGS_ASSIGN(entries.emplace_back(), Stat(JoinPath(directory, name)));
  }
  return entries;
}

Result<std::unique_ptr<image::ImageFile>> VolumePart::Open(std::string_view path) const {
  PGS_ASSIGN(const auto attributes, Find(path));
  if (S_ISREG(attributes.mode)) {
    return std::make_unique<PartFile>(volume_, attributes, JoinPath(directory_, path));
  }
  volume_.Forget(attributes.inode, 1);
  return Fail(ErrorCode::kInvalidArgument, Quoted(path) + " is not a regular file");
}

Status VolumePart::VisitParts(const image::PartVisitor& visit) const {
  const auto nanoseconds = [](const timespec& time) { return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec; };
  return image::Walk(*this, "", [&](const std::string& path, const Entry& entry) -> Status {
    if (entry.kind == EntryKind::kDirectory) return {};
    PGS_ASSIGN(const auto attributes, Find(path));
    const HeldInode held(volume_, attributes.inode);
    const image::Fingerprint file{.inode = attributes.shown_inode,
                                  .size = attributes.size,
                                  .modified_ns = nanoseconds(attributes.modified),
                                  .changed_ns = nanoseconds(attributes.changed)};
    return visit({.name = path, .file = &file});
  });
}

}  // namespace pgstrata::branch
