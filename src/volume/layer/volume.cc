#include "volume/layer/volume.h"

#include "volume/layer/copy_content.h"
#include "volume/vfs/errno_map.h"

namespace pgstrata::layer {
namespace {

constexpr size_t kMaxLinkTarget = 4095;
// So much of the log may wait in memory for a disk that does not take it.
constexpr uint64_t kMaxWaitingLog = 32 << 20;

}  // namespace

Volume::~Volume() = default;

VolumeStatistics Volume::Statistics() const {
  VolumeStatistics statistics{.reads = counters_.reads.value(),
                              .writes = counters_.writes.value(),
                              .bytes_read = counters_.bytes_read.value(),
                              .bytes_written = counters_.bytes_written.value(),
                              .base_bytes_read = counters_.base_bytes_read.value(),
                              .layer_bytes_read = counters_.layer_bytes_read.value(),
                              .files_open = open_files_.size(),
                              .memory_bytes = inodes_.memory()};
  for (Layer* layer : stack_.layers()) {
    const uint64_t bytes = layer->data_blocks.value() * kBlockSize;
    statistics.layers.push_back({layer->directory(), bytes});
    statistics.layer_bytes += bytes;
    if (layer->log() != nullptr) statistics.memory_bytes += layer->log()->waiting();
  }
  return statistics;
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

vfs::FsResult<Gate::Pass> Volume::BeginChange() {
  if (read_only_) return vfs::FsError(EROFS);
  if (stack_.durable() && stack_.top().log()->waiting() > kMaxWaitingLog) {
    if (const auto synced = SyncLog(stack_.end()); !synced) return std::unexpected(synced.error());
  }
  return Gate::Pass(gate_);
}

// Unlink sets link_count to 0 and then reads references, Forget the other way round: one of them sees both.
void Volume::EndIfUnused(Node& node) {
  {
    const std::scoped_lock lock(node.mutex);
    if (node.attributes.link_count != 0) return;
  }
  if (node.references.load() != 0 || !inodes_.Remove(node.inode)) return;
  journal_.RecordEnd(node);
  if (!node.content) return;
  node.content->Remove();
  journal_.NoteChange(node);
}

void Volume::Forget(vfs::Inode inode, uint64_t references) {
  const NodePtr node = inodes_.Find(inode);
  if (!node || inode == vfs::kRootInode) return;
  if (node->references.fetch_sub(references) != references) return;
  const Gate::Pass pass(gate_);
  EndIfUnused(*node);
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
  const auto pass = BeginChange();
  if (!pass) return std::unexpected(pass.error());
  journal_.Adopt(node);
  if (change.size) {
    const auto resized = node.content->Resize(*change.size);
    journal_.NoteChange(node);
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
    node.attributes_owed = true;
  }
  // The kernel sets a written file's times before every fdatasync of it, which then would wait for the log as well.
  const bool only_times = !change.mode && !change.uid && !change.gid && !change.size;
  if (only_times) {
    journal_.NoteChange(node);
  } else {
    journal_.RecordAttributes(node);
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
  const auto pass = BeginChange();
  if (!pass) return std::unexpected(pass.error());
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

vfs::FsResult<vfs::Attributes> Volume::MakeSpecial(vfs::Inode parent, std::string_view name, mode_t mode, dev_t device,
                                                   vfs::Owner owner) {
  return Insert(parent, name, [&](const Node&) { return inodes_.MakeSpecial(mode, device, owner); });
}

bool Volume::HoldsTablespaces(vfs::Inode directory) {
  const auto found = Lookup(vfs::kRootInode, "pg_tblspc");
  if (!found) return false;
  Forget(found->inode, 1);
  return found->inode == directory;
}

vfs::FsResult<vfs::Attributes> Volume::MakeLink(vfs::Inode parent, std::string_view name, std::string_view target,
                                                vfs::Owner owner) {
  if (target.empty()) return vfs::FsError(ENOENT);
  if (target.size() > kMaxLinkTarget) return vfs::FsError(ENAMETOOLONG);
  if (target.front() == '/' && HoldsTablespaces(parent)) return vfs::FsError(EPERM);
  return MakeTrustedLink(parent, name, target, owner);
}

vfs::FsResult<vfs::Attributes> Volume::MakeTrustedLink(vfs::Inode parent, std::string_view name,
                                                       std::string_view target, vfs::Owner owner) {
  return Insert(parent, name, [&](const Node&) { return inodes_.MakeLink(target, owner); });
}

vfs::FsResult<vfs::Attributes> Volume::Link(vfs::Inode inode, vfs::Inode parent, std::string_view name) {
  const auto node = Find(inode);
  if (!node) return std::unexpected(node.error());
  const auto directory = FindDirectory(parent);
  if (!directory) return std::unexpected(directory.error());
  const auto pass = BeginChange();
  if (!pass) return std::unexpected(pass.error());
  const auto linked = names_.Link(*node, **directory, name);
  if (!linked) return std::unexpected(linked.error());
  return ShownAttributes(**node);
}

vfs::FsStatus Volume::Unlink(vfs::Inode parent, std::string_view name) {
  const auto directory = FindDirectory(parent);
  if (!directory) return std::unexpected(directory.error());
  const auto pass = BeginChange();
  if (!pass) return std::unexpected(pass.error());
  const auto node = names_.Unlink(**directory, name);
  if (!node) return std::unexpected(node.error());
  EndIfUnused(**node);
  return {};
}

vfs::FsStatus Volume::RemoveDirectory(vfs::Inode parent, std::string_view name) {
  const auto directory = FindDirectory(parent);
  if (!directory) return std::unexpected(directory.error());
  const auto pass = BeginChange();
  if (!pass) return std::unexpected(pass.error());
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
  const auto pass = BeginChange();
  if (!pass) return std::unexpected(pass.error());
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

vfs::FsStatus Volume::ChangeContent(Node& file, const std::function<vfs::FsStatus()>& change) {
  const auto pass = BeginChange();
  if (!pass) return std::unexpected(pass.error());
  journal_.Adopt(file);
  const auto status = change();
  TouchModified(file);
  journal_.NoteChange(file);
  return status;
}

vfs::FsStatus Volume::Write(vfs::Inode inode, uint64_t offset, ByteView bytes) {
  const auto node = FindFile(inode);
  if (!node) return std::unexpected(node.error());
  const auto status = ChangeContent(**node, [&] { return (*node)->content->Write(offset, bytes); });
  counters_.writes.Add(1);
  if (status) counters_.bytes_written.Add(bytes.size());
  return status;
}

vfs::FsStatus Volume::Allocate(vfs::Inode inode, vfs::AllocationMode mode, uint64_t offset, uint64_t length) {
  const auto node = FindFile(inode);
  if (!node) return std::unexpected(node.error());
  return ChangeContent(**node, [&] { return (*node)->content->Allocate(mode, offset, length); });
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
  return CopyContent(*(*source)->content, from_offset, *(*target)->content, to_offset, length,
                     [&](const std::function<vfs::FsStatus()>& change) { return ChangeContent(**target, change); });
}

vfs::FsStatus Volume::ReadDirectory(vfs::Inode inode, uint64_t cookie, const vfs::DirectoryVisitor& visit) {
  const auto node = FindDirectory(inode);
  if (!node) return std::unexpected(node.error());
  return names_.ReadDirectory(**node, cookie, visit);
}

vfs::FsResult<vfs::Inode> Volume::ParentOf(vfs::Inode directory) {
  const auto node = FindDirectory(directory);
  if (!node) return std::unexpected(node.error());
  return names_.ParentOf(**node);
}

vfs::FsResult<vfs::SpaceInfo> Volume::Space() {
  const std::vector<Layer*> layers = stack_.layers();
  if (layers.empty()) return vfs::SpaceInfo{.block_size = kBlockSize};
  const auto space = layers.back()->storage().Space(layers.back()->directory());
  if (!space) return std::unexpected(vfs::ToErrno(space.error()));
  return vfs::SpaceInfo{.block_size = kBlockSize,
                        .total_blocks = space->total_bytes / kBlockSize,
                        .free_blocks = space->available_bytes / kBlockSize};
}

}  // namespace pgstrata::layer
