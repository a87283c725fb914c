#include "volume/layer/inode_table.h"

namespace pgstrata::layer {
namespace {

constexpr mode_t kLinkPermissions = 0777;

Attributes NewAttributes(mode_t permissions, vfs::Owner owner) {
  const timespec now = Now();
  return {
      .permissions = permissions, .uid = owner.uid, .gid = owner.gid, .accessed = now, .modified = now, .changed = now};
}

timespec ToTimespec(Timestamp time) {
  constexpr int64_t kSecond = 1'000'000'000;
  timespec result{.tv_sec = time.unix_ns / kSecond, .tv_nsec = time.unix_ns % kSecond};
  if (result.tv_nsec < 0) {
    result.tv_nsec += kSecond;
    --result.tv_sec;
  }
  return result;
}

mode_t TypeOf(image::EntryKind kind) {
  switch (kind) {
    case image::EntryKind::kDirectory:
      return S_IFDIR;
    case image::EntryKind::kLink:
      return S_IFLNK;
    case image::EntryKind::kFile:
      break;
  }
  return S_IFREG;
}

std::unique_ptr<Directory> NewDirectory(vfs::Inode parent) {
  return std::unique_ptr<Directory>(new Directory{.from_image = false, .loaded = true, .parent = parent});
}
std::unique_ptr<Directory> DirectoryOfImage(std::string path, vfs::Inode parent) {
  return std::unique_ptr<Directory>(
      new Directory{.image_path = std::move(path), .from_image = true, .loaded = false, .parent = parent});
}

}  // namespace

NodePtr InodeTable::NewNode(vfs::Inode number, mode_t type, const Attributes& attributes) {
  const uint64_t shown = number == vfs::kRootInode ? root_shown_inode_ : number.value;
  return std::make_shared<Node>(number, shown, type, attributes);
}

void InodeTable::Publish(const NodePtr& node) {
  Shard& shard = shards_[node->inode.value % kShards];
  const std::unique_lock lock(shard.mutex);
  shard.nodes.emplace(node->inode.value, node);
}

NodePtr InodeTable::MakeFile(mode_t permissions, vfs::Owner owner) {
  NodePtr node = NewNode(NewNumber(), S_IFREG, NewAttributes(permissions, owner));
  node->content = std::make_unique<FileContent>(stack_, node->inode.value);
  Publish(node);
  return node;
}

NodePtr InodeTable::MakeDirectory(mode_t permissions, vfs::Owner owner, vfs::Inode parent) {
  Attributes attributes = NewAttributes(permissions, owner);
  attributes.link_count = 2;
  NodePtr node = NewNode(NewNumber(), S_IFDIR, attributes);
  node->directory = NewDirectory(parent);
  Publish(node);
  return node;
}

NodePtr InodeTable::MakeLink(std::string_view target, vfs::Owner owner) {
  NodePtr node = NewNode(NewNumber(), S_IFLNK, NewAttributes(kLinkPermissions, owner));
  node->link_target = target;
  Publish(node);
  return node;
}

NodePtr InodeTable::MakeSpecial(mode_t mode, dev_t device, vfs::Owner owner) {
  const mode_t type = mode & S_IFMT;
  NodePtr node = NewNode(NewNumber(), type, NewAttributes(mode & 07777, owner));
  if (type == S_IFCHR || type == S_IFBLK) node->device = device;
  Publish(node);
  return node;
}

std::shared_ptr<BaseFile> InodeTable::MakeBase(std::string path, uint64_t size) {
  return std::make_shared<BaseFile>(image_, std::move(path), size, open_files_, counters_);
}

NodePtr InodeTable::Restore(const NodeRecord& record, std::unique_ptr<FileContent> content, bool has_name_of_origin) {
  NodePtr node = NewNode(vfs::Inode{record.node}, TypeOf(record.kind), record.attributes);
  node->recorded.store(true);
  node->content = std::move(content);
  node->link_target = record.link_target;
  node->device = record.device;
  if (record.kind == NodeKind::kDirectory) {
    node->directory =
        record.from_image ? DirectoryOfImage(record.origin, vfs::kRootInode) : NewDirectory(vfs::kRootInode);
  }
  if (record.kind == NodeKind::kLink && record.from_image) node->link_origin = record.origin;
  if (has_name_of_origin && record.node != kRootNode) {
    const std::scoped_lock lock(restored_mutex_);
    restored_.emplace(record.origin, node);
  }
  Publish(node);
  return node;
}

NodePtr InodeTable::TakeRestored(const std::string& path) {
  const std::scoped_lock lock(restored_mutex_);
  const auto found = restored_.find(path);
  if (found == restored_.end()) return nullptr;
  NodePtr node = std::move(found->second);
  restored_.erase(found);
  return node;
}

uint64_t InodeTable::memory() const {
  constexpr uint64_t kTableEntry = 64;
  uint64_t bytes = 0;
  for (const Shard& shard : shards_) {
    const std::shared_lock lock(shard.mutex);
    for (const auto& [number, node] : shard.nodes) {
      bytes += sizeof(Node) + kTableEntry + (node->content ? node->content->memory() : 0) +
               (node->directory ? sizeof(Directory) : 0);
    }
  }
  return bytes;
}

NodePtr InodeTable::MakeFromImage(const image::Entry& entry, std::string path, vfs::Inode parent) {
  const timespec modified = ToTimespec(entry.modified);
  Attributes attributes{.permissions = entry.mode & 07777,
                        .uid = owner_.uid,
                        .gid = owner_.gid,
                        .accessed = modified,
                        .modified = modified,
                        .changed = modified};
  NodePtr node = NewNode(NewNumber(), TypeOf(entry.kind), attributes);
  switch (entry.kind) {
    case image::EntryKind::kFile:
      node->content = std::make_unique<FileContent>(stack_, node->inode.value, MakeBase(std::move(path), entry.size));
      break;
    case image::EntryKind::kDirectory:
      node->directory = DirectoryOfImage(std::move(path), parent);
      break;
    case image::EntryKind::kLink:
      node->link_target = entry.link_target;
      node->link_origin = std::move(path);
      break;
  }
  Publish(node);
  return node;
}

NodePtr InodeTable::Find(vfs::Inode inode) const {
  const Shard& shard = ShardOf(inode);
  const std::shared_lock lock(shard.mutex);
  const auto found = shard.nodes.find(inode.value);
  return found == shard.nodes.end() ? nullptr : found->second;
}

bool InodeTable::Remove(vfs::Inode inode) {
  NodePtr removed;  // destroyed after the lock
  Shard& shard = shards_[inode.value % kShards];
  const std::unique_lock lock(shard.mutex);
  const auto found = shard.nodes.find(inode.value);
  if (found == shard.nodes.end()) return false;
  removed = std::move(found->second);
  shard.nodes.erase(found);
  return true;
}

}  // namespace pgstrata::layer
