#include "volume/layer/volume.h"

#include <sys/resource.h>

#include <algorithm>
#include <random>
#include <vector>

#include "foundation/io/directory.h"
#include "volume/layer/copy_content.h"
#include "volume/vfs/errno_map.h"

namespace pgstrata::layer {
namespace {

constexpr mode_t kPrivate = 0700;
constexpr mode_t kGroupReadable = 0750;
constexpr size_t kMaxLinkTarget = 4095;

size_t DefaultOpenFiles() {
  constexpr size_t kMost = 16384;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return kMost / 16;
  return std::clamp<size_t>(limit.rlim_cur / 4 * 3, 16, kMost);
}

// 48 bits, so that every program can hold it; PostgreSQL derives its shared memory's key from the lower 32, of which
// one is set always.
uint64_t RandomRootNumber() {
  std::random_device random;
  const uint64_t high = random() & 0xFFFF;
  return high << 32 | random() | 1;
}

image::Entry ShownRoot(image::Entry root) {
  root.mode = root.mode == kGroupReadable ? kGroupReadable : kPrivate;
  return root;
}

}  // namespace

Result<std::unique_ptr<Volume>> Volume::Create(VolumeOptions options) {
  PGS_ASSIGN(const image::Entry root, options.image->Stat(""));
  if (root.kind != image::EntryKind::kDirectory) {
    return Fail(ErrorCode::kInvalidArgument, "\"" + options.image->name() + "\" is not a directory");
  }
  PGS_TRY(io::MakeDirectories(options.directory));
  PGS_ASSIGN(const auto names, io::ListDirectory(options.directory));
  if (!names.empty()) {
    return Fail(Error(ErrorCode::kAlreadyExists, "the layer's directory \"" + options.directory + "\" is not empty")
                    .WithHint("choose another directory, or remove what is in this one"));
  }
  if (options.max_open_files == 0) options.max_open_files = DefaultOpenFiles();
  return std::unique_ptr<Volume>(new Volume(std::move(options), ShownRoot(root)));
}

Volume::Volume(VolumeOptions options, const image::Entry& root)
    : image_(std::move(options.image)),
      directory_(std::move(options.directory)),
      open_files_(options.max_open_files),
      store_(directory_, open_files_, counters_),
      inodes_(*image_, store_, options.owner, RandomRootNumber()),
      names_(*image_, inodes_) {
  inodes_.MakeFromImage(root, "", vfs::kRootInode)->references = 1;
}

Volume::~Volume() = default;

VolumeStatistics Volume::Statistics() const {
  return {.reads = counters_.reads.value(),
          .writes = counters_.writes.value(),
          .bytes_read = counters_.bytes_read.value(),
          .bytes_written = counters_.bytes_written.value(),
          .base_bytes_read = counters_.base_bytes_read.value(),
          .layer_bytes_read = counters_.layer_bytes_read.value(),
          .layer_bytes = counters_.layer_blocks.value() * kBlockSize};
}

vfs::FsResult<NodePtr> Volume::Find(vfs::Inode inode) const {
  NodePtr node = inodes_.Find(inode);
  if (!node) return vfs::FsError(ESTALE);
  return node;
}

vfs::FsResult<NodePtr> Volume::FindFile(vfs::Inode inode) const {
  auto node = Find(inode);
  if (!node || (*node)->content) return node;
  return vfs::FsError((*node)->directory ? EISDIR : EINVAL);
}

vfs::FsResult<NodePtr> Volume::FindDirectory(vfs::Inode inode) const {
  auto node = Find(inode);
  if (!node || (*node)->directory) return node;
  return vfs::FsError(ENOTDIR);
}

vfs::FsResult<vfs::Attributes> Volume::Lookup(vfs::Inode parent, std::string_view name) {
  const auto directory = FindDirectory(parent);
  if (!directory) return std::unexpected(directory.error());
  const auto node = names_.Lookup(**directory, name);
  if (!node) return std::unexpected(node.error());
  return ShownAttributes(**node);
}

// Unlink sets link_count to 0 and then reads references, Forget the other way round: one of them sees both.
void Volume::EndIfUnused(Node& node) {
  {
    const std::scoped_lock lock(node.mutex);
    if (node.attributes.link_count != 0) return;
  }
  if (node.references.load() != 0) return;
  if (inodes_.Remove(node.inode) && node.content) node.content->Remove();
}

void Volume::Forget(vfs::Inode inode, uint64_t references) {
  const NodePtr node = inodes_.Find(inode);
  if (!node || inode == vfs::kRootInode) return;
  if (node->references.fetch_sub(references) == references) EndIfUnused(*node);
}

vfs::FsResult<vfs::Attributes> Volume::GetAttributes(vfs::Inode inode) {
  const auto node = Find(inode);
  if (!node) return std::unexpected(node.error());
  return ShownAttributes(**node);
}

vfs::FsResult<vfs::Attributes> Volume::SetAttributes(vfs::Inode inode, const vfs::AttributeChange& change) {
  const auto found = change.size ? FindFile(inode) : Find(inode);
  if (!found) return std::unexpected(found.error());
  Node& node = **found;
  if (change.size) {
    const auto resized = node.content->Resize(*change.size);
    if (!resized) return std::unexpected(resized.error());
  }
  const timespec now = Now();
  {
    const std::scoped_lock lock(node.mutex);
    Attributes& attributes = node.attributes;
    if (change.mode) attributes.permissions = *change.mode & 07777;
    attributes.uid = change.uid.value_or(attributes.uid);
    attributes.gid = change.gid.value_or(attributes.gid);
    attributes.accessed = change.accessed.value_or(attributes.accessed);
    attributes.modified = change.modified.value_or(change.size ? now : attributes.modified);
    attributes.changed = now;
  }
  return ShownAttributes(node);
}

vfs::FsResult<std::string> Volume::ReadLink(vfs::Inode inode) {
  const auto node = Find(inode);
  if (!node) return std::unexpected(node.error());
  if ((*node)->type != S_IFLNK) return vfs::FsError(EINVAL);
  return (*node)->link_target;
}

vfs::FsResult<vfs::Attributes> Volume::Insert(vfs::Inode parent, std::string_view name,
                                              const std::function<NodePtr(const Node&)>& make) {
  const auto directory = FindDirectory(parent);
  if (!directory) return std::unexpected(directory.error());
  NodePtr made;
  const auto inserted = names_.Insert(**directory, name, [&] { return make(**directory); }, made);
  if (!inserted) return std::unexpected(inserted.error());
  return ShownAttributes(*made);
}

vfs::FsResult<vfs::Attributes> Volume::CreateFile(vfs::Inode parent, std::string_view name, mode_t mode,
                                                  vfs::Owner owner) {
  return Insert(parent, name, [&](const Node&) { return inodes_.MakeFile(mode & 07777, owner); });
}

vfs::FsResult<vfs::Attributes> Volume::MakeDirectory(vfs::Inode parent, std::string_view name, mode_t mode,
                                                     vfs::Owner owner) {
  return Insert(parent, name,
                [&](const Node& above) { return inodes_.MakeDirectory(mode & 07777, owner, above.inode); });
}

vfs::FsResult<vfs::Attributes> Volume::MakeLink(vfs::Inode parent, std::string_view name, std::string_view target,
                                                vfs::Owner owner) {
  if (target.empty()) return vfs::FsError(ENOENT);
  if (target.size() > kMaxLinkTarget) return vfs::FsError(ENAMETOOLONG);
  if (target.front() == '/') return vfs::FsError(EPERM);  // recovery would make one into production's tablespace
  return Insert(parent, name, [&](const Node&) { return inodes_.MakeLink(target, owner); });
}

vfs::FsResult<vfs::Attributes> Volume::Link(vfs::Inode inode, vfs::Inode parent, std::string_view name) {
  const auto node = Find(inode);
  if (!node) return std::unexpected(node.error());
  const auto directory = FindDirectory(parent);
  if (!directory) return std::unexpected(directory.error());
  const auto linked = names_.Link(*node, **directory, name);
  if (!linked) return std::unexpected(linked.error());
  return ShownAttributes(**node);
}

vfs::FsStatus Volume::Unlink(vfs::Inode parent, std::string_view name) {
  const auto directory = FindDirectory(parent);
  if (!directory) return std::unexpected(directory.error());
  const auto node = names_.Unlink(**directory, name);
  if (!node) return std::unexpected(node.error());
  EndIfUnused(**node);
  return {};
}

vfs::FsStatus Volume::RemoveDirectory(vfs::Inode parent, std::string_view name) {
  const auto directory = FindDirectory(parent);
  if (!directory) return std::unexpected(directory.error());
  const auto node = names_.RemoveDirectory(**directory, name);
  if (!node) return std::unexpected(node.error());
  EndIfUnused(**node);
  return {};
}

vfs::FsStatus Volume::Rename(vfs::Inode parent, std::string_view name, vfs::Inode new_parent, std::string_view new_name,
                             vfs::RenameMode mode) {
  const auto from = FindDirectory(parent);
  if (!from) return std::unexpected(from.error());
  const auto to = FindDirectory(new_parent);
  if (!to) return std::unexpected(to.error());
  const auto replaced = names_.Rename(**from, name, **to, new_name, mode);
  if (!replaced) return std::unexpected(replaced.error());
  if (*replaced) EndIfUnused(**replaced);
  return {};
}

vfs::FsResult<size_t> Volume::Read(vfs::Inode inode, uint64_t offset, MutableBytes out) {
  const auto node = FindFile(inode);
  if (!node) return std::unexpected(node.error());
  const auto count = (*node)->content->Read(offset, out);
  counters_.reads.Add(1);
  if (count) counters_.bytes_read.Add(*count);
  return count;
}

vfs::FsStatus Volume::Write(vfs::Inode inode, uint64_t offset, ByteView bytes) {
  const auto node = FindFile(inode);
  if (!node) return std::unexpected(node.error());
  const auto status = (*node)->content->Write(offset, bytes);
  counters_.writes.Add(1);
  if (status) counters_.bytes_written.Add(bytes.size());
  TouchModified(**node);
  return status;
}

vfs::FsStatus Volume::Allocate(vfs::Inode inode, vfs::AllocationMode mode, uint64_t offset, uint64_t length) {
  const auto node = FindFile(inode);
  if (!node) return std::unexpected(node.error());
  const auto status = (*node)->content->Allocate(mode, offset, length);
  if (status) TouchModified(**node);
  return status;
}

vfs::FsResult<uint64_t> Volume::Seek(vfs::Inode inode, uint64_t offset, vfs::SeekTarget target) {
  const auto node = FindFile(inode);
  if (!node) return std::unexpected(node.error());
  return (*node)->content->Seek(offset, target);
}

vfs::FsResult<uint64_t> Volume::CopyRange(vfs::Inode from, uint64_t from_offset, vfs::Inode to, uint64_t to_offset,
                                          uint64_t length) {
  const auto source = FindFile(from);
  if (!source) return std::unexpected(source.error());
  const auto target = FindFile(to);
  if (!target) return std::unexpected(target.error());
  const auto copied = CopyContent(*(*source)->content, from_offset, *(*target)->content, to_offset, length);
  if (copied && *copied > 0) TouchModified(**target);
  return copied;
}

vfs::FsStatus Volume::Sync(vfs::Inode inode, bool) {
  const auto node = Find(inode);
  if (!node) return std::unexpected(node.error());
  return {};
}

vfs::FsStatus Volume::ReadDirectory(vfs::Inode inode, uint64_t cookie, const vfs::DirectoryVisitor& visit) {
  const auto node = FindDirectory(inode);
  if (!node) return std::unexpected(node.error());
  return names_.ReadDirectory(**node, cookie, visit);
}

vfs::FsStatus Volume::SyncDirectory(vfs::Inode inode) {
  const auto node = FindDirectory(inode);
  if (!node) return std::unexpected(node.error());
  return {};
}

vfs::FsResult<vfs::Inode> Volume::ParentOf(vfs::Inode directory) {
  const auto node = FindDirectory(directory);
  if (!node) return std::unexpected(node.error());
  return names_.ParentOf(**node);
}

vfs::FsResult<vfs::SpaceInfo> Volume::Space() {
  const auto space = io::DiskSpaceAt(directory_);
  if (!space) return std::unexpected(vfs::ToErrno(space.error()));
  return vfs::SpaceInfo{.block_size = kBlockSize,
                        .total_blocks = space->total_bytes / kBlockSize,
                        .free_blocks = space->available_bytes / kBlockSize};
}

}  // namespace pgstrata::layer
