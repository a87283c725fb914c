#include "volume/layer/node.h"

#include <utility>

namespace pgstrata::layer {

NodePtr EntryList::Find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : found->second->second.node;
}

void EntryList::Add(std::string_view name, NodePtr node) {
  const auto added =
      by_cookie_.emplace_hint(by_cookie_.end(), ++last_cookie_, Entry{std::string(name), std::move(node)});
  by_name_.emplace(added->second.name, added);
}

void EntryList::Replace(std::string_view name, NodePtr node) { by_name_.at(name)->second.node = std::move(node); }

void EntryList::Remove(std::string_view name) {
  const auto found = by_name_.find(name);
  const auto entry = found->second;
  by_name_.erase(found);
  by_cookie_.erase(entry);
}

timespec Now() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return now;
}

vfs::Attributes ShownAttributes(const Node& node) {
  constexpr uint64_t kSectorsPerBlock = kBlockSize / 512;
  vfs::Attributes shown{.inode = node.inode, .shown_inode = node.shown_inode};
  if (node.content) {
    const auto extent = node.content->extent();
    shown.size = extent.size;
    shown.blocks = extent.blocks * kSectorsPerBlock;
  } else {
    shown.size = node.directory ? kBlockSize : node.link_target.size();
  }
  const std::scoped_lock lock(node.mutex);
  const Attributes& attributes = node.attributes;
  shown.mode = node.type | attributes.permissions;
  shown.device = node.device;
  shown.link_count = attributes.link_count;
  shown.uid = attributes.uid;
  shown.gid = attributes.gid;
  shown.accessed = attributes.accessed;
  shown.modified = attributes.modified;
  shown.changed = attributes.changed;
  return shown;
}

void TouchModified(Node& node) {
  const timespec now = Now();
  const std::scoped_lock lock(node.mutex);
  node.attributes.modified = node.attributes.changed = now;
  node.attributes_owed = true;
}

void TouchChanged(Node& node, int links) {
  const timespec now = Now();
  const std::scoped_lock lock(node.mutex);
  node.attributes.changed = now;
  node.attributes_owed = true;
  node.attributes.link_count += static_cast<uint64_t>(static_cast<int64_t>(links));
}

}  // namespace pgstrata::layer
