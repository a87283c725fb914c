#include "volume/layer/inode_table.h"

#include <mutex>

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

std::unique_ptr<Directory> NewDirectory(std::string image_path, bool loaded, vfs::Inode parent) {
  return std::unique_ptr<Directory>(
      new Directory{.image_path = std::move(image_path), .loaded = loaded, .parent = parent});
}

}  // namespace

NodePtr InodeTable::NewNode(mode_t type, const Attributes& attributes) {
  const vfs::Inode inode{last_number_.fetch_add(1) + 1};
  return std::make_shared<Node>(inode, inode == vfs::kRootInode ? root_shown_inode_ : inode.value, type, attributes);
}

void InodeTable::Publish(const NodePtr& node) {
  Shard& shard = shards_[node->inode.value % kShards];
  const std::unique_lock lock(shard.mutex);
  shard.nodes.emplace(node->inode.value, node);
}

NodePtr InodeTable::MakeFile(mode_t permissions, vfs::Owner owner) {
  NodePtr node = NewNode(S_IFREG, NewAttributes(permissions, owner));
  node->content = std::make_unique<FileContent>(store_);
  Publish(node);
  return node;
}

NodePtr InodeTable::MakeDirectory(mode_t permissions, vfs::Owner owner, vfs::Inode parent) {
  Attributes attributes = NewAttributes(permissions, owner);
  attributes.link_count = 2;
  NodePtr node = NewNode(S_IFDIR, attributes);
  node->directory = NewDirectory("", true, parent);
  Publish(node);
  return node;
}

NodePtr InodeTable::MakeLink(std::string_view target, vfs::Owner owner) {
  NodePtr node = NewNode(S_IFLNK, NewAttributes(kLinkPermissions, owner));
  node->link_target = target;
  Publish(node);
  return node;
}

NodePtr InodeTable::MakeFromImage(const image::Entry& entry, std::string path, vfs::Inode parent) {
  const timespec modified = ToTimespec(entry.modified);
  Attributes attributes{.permissions = entry.mode & 07777,
                        .uid = owner_.uid,
                        .gid = owner_.gid,
                        .accessed = modified,
                        .modified = modified,
                        .changed = modified};
  NodePtr node = NewNode(TypeOf(entry.kind), attributes);
  switch (entry.kind) {
    case image::EntryKind::kFile:
      node->content = std::make_unique<FileContent>(
          store_,
          std::make_unique<BaseFile>(image_, std::move(path), entry.size, store_.open_files(), store_.counters()));
      break;
    case image::EntryKind::kDirectory:
      node->directory = NewDirectory(std::move(path), false, parent);
      break;
    case image::EntryKind::kLink:
      node->link_target = entry.link_target;
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
