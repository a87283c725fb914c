#include "volume/layer/name_tree.h"

#include <mutex>
#include <utility>
#include <vector>

#include "foundation/base/log.h"
#include "foundation/base/text.h"

namespace pgstrata::layer {
namespace {

vfs::FsStatus CheckName(std::string_view name) {
  if (name.empty()) return vfs::FsError(ENOENT);
  if (name.size() > kMaxName) return vfs::FsError(ENAMETOOLONG);
  if (!IsFileName(name)) return vfs::FsError(EINVAL);
  return {};
}

}  // namespace

vfs::FsStatus NameTree::Load(Node& directory) {
  Directory& own = *directory.directory;
  if (own.loaded.load(std::memory_order_acquire)) return {};
  const std::scoped_lock loading(own.loading);
  if (own.loaded.load(std::memory_order_acquire)) return {};
  const auto entries = image_.List(own.image_path);
  if (!entries) {
    if (!std::exchange(own.failure_logged, true)) {
      log::Error("listing \"{}\" of \"{}\" fails: {}", own.image_path, image_.name(), entries.error().message());
    }
    return vfs::FsError(EIO);
  }
  std::vector<std::pair<std::string_view, NodePtr>> named;
  named.reserve(entries->size() + own.overrides.size());
  for (const auto& entry : *entries) {
    if (own.overrides.contains(entry.name)) continue;
    std::string path = JoinPath(own.image_path, entry.name);
    NodePtr node = inodes_.TakeRestored(path);
    if (!node) node = inodes_.MakeFromImage(entry, std::move(path), directory.inode);
    named.emplace_back(entry.name, std::move(node));
  }
  for (const auto& [name, node] : own.overrides) {
    if (node) named.emplace_back(name, node);
  }
  uint64_t directories = 0;
  const std::unique_lock lock(mutex_);
  for (auto& [name, node] : named) {
    if (node->directory) {
      node->directory->parent = directory.inode;
      ++directories;
    }
    own.entries.Add(name, std::move(node));
  }
  own.overrides.clear();
  const std::scoped_lock attributes(directory.mutex);
  directory.attributes.link_count = 2 + directories;
  own.loaded.store(true, std::memory_order_release);
  return {};
}

void NameTree::Restore(Node& parent, const std::string& name, const NodePtr& node) {
  Directory& own = *parent.directory;
  if (node && node->directory) node->directory->parent = parent.inode;
  if (own.from_image) {
    own.overrides.insert_or_assign(name, node);
  } else if (node) {
    own.entries.Add(name, node);
  }
}

vfs::FsStatus NameTree::Enter(Node& parent, std::string_view name) {
  if (!parent.directory) return vfs::FsError(ENOTDIR);
  if (const auto checked = CheckName(name); !checked) return checked;
  return Load(parent);
}

bool NameTree::IsRemoved(const Node& directory) {
  const std::scoped_lock lock(directory.mutex);
  return directory.attributes.link_count == 0;
}

vfs::FsResult<NodePtr> NameTree::Lookup(Node& parent, std::string_view name) {
  if (const auto entered = Enter(parent, name); !entered) return std::unexpected(entered.error());
  const std::shared_lock lock(mutex_);
  NodePtr node = parent.directory->entries.Find(name);
  if (!node) return vfs::FsError(ENOENT);
  node->references.fetch_add(1);
  return node;
}

vfs::FsStatus NameTree::Insert(Node& parent, std::string_view name, const std::function<NodePtr()>& make,
                               NodePtr& made) {
  if (const auto entered = Enter(parent, name); !entered) return entered;
  const std::unique_lock lock(mutex_);
  EntryList& entries = parent.directory->entries;
  if (entries.Find(name)) return vfs::FsError(EEXIST);
  if (IsRemoved(parent)) return vfs::FsError(ENOENT);
  made = make();
  made->references.store(1);
  entries.Add(name, made);
  TouchModified(parent);
  if (made->directory) TouchChanged(parent, 1);
  journal_.RecordNames({{parent, name, made.get()}});
  return {};
}

vfs::FsStatus NameTree::Link(const NodePtr& node, Node& parent, std::string_view name) {
  if (node->directory) return vfs::FsError(EPERM);
  if (const auto entered = Enter(parent, name); !entered) return entered;
  const std::unique_lock lock(mutex_);
  EntryList& entries = parent.directory->entries;
  if (entries.Find(name)) return vfs::FsError(EEXIST);
  if (IsRemoved(parent) || IsRemoved(*node)) return vfs::FsError(ENOENT);
  TouchChanged(*node, 1);
  node->references.fetch_add(1);
  entries.Add(name, node);
  TouchModified(parent);
  journal_.RecordNames({{parent, name, node.get()}});
  return {};
}

// Takes the name from `node`; a directory is gone with its only name.
void NameTree::Drop(Node& parent, std::string_view name, Node& node) {
  parent.directory->entries.Remove(name);
  TouchModified(parent);
  TouchChanged(node, node.directory ? -2 : -1);
  if (node.directory) TouchChanged(parent, -1);
  journal_.RecordNames({{parent, name, nullptr}});
}

vfs::FsResult<NodePtr> NameTree::Unlink(Node& parent, std::string_view name) {
  if (const auto entered = Enter(parent, name); !entered) return std::unexpected(entered.error());
  const std::unique_lock lock(mutex_);
  NodePtr node = parent.directory->entries.Find(name);
  if (!node) return vfs::FsError(ENOENT);
  if (node->directory) return vfs::FsError(EISDIR);
  Drop(parent, name, *node);
  return node;
}

vfs::FsResult<NodePtr> NameTree::RemoveDirectory(Node& parent, std::string_view name) {
  if (const auto entered = Enter(parent, name); !entered) return std::unexpected(entered.error());
  while (true) {
    NodePtr node;
    {
      const std::unique_lock lock(mutex_);
      node = parent.directory->entries.Find(name);
      if (!node) return vfs::FsError(ENOENT);
      if (!node->directory) return vfs::FsError(ENOTDIR);
      if (node->directory->loaded) {
        if (!node->directory->entries.empty()) return vfs::FsError(ENOTEMPTY);
        Drop(parent, name, *node);
        return node;
      }
    }
    if (const auto loaded = Load(*node); !loaded) return std::unexpected(loaded.error());
  }
}

bool NameTree::IsBelow(const Node& directory, const Node& ancestor) const {
  vfs::Inode at = directory.inode;
  while (at != vfs::kRootInode && at != ancestor.inode) {
    const NodePtr node = inodes_.Find(at);
    if (!node) return false;
    at = node->directory->parent;
  }
  return at == ancestor.inode;
}

vfs::FsStatus NameTree::CheckReplace(const Place& from, const Place& to) const {
  if (from.node->directory && IsBelow(to.parent, *from.node)) return vfs::FsError(EINVAL);
  if (!to.node) return {};
  if (from.node->directory) {
    if (!to.node->directory) return vfs::FsError(ENOTDIR);
    if (!to.node->directory->entries.empty()) return vfs::FsError(ENOTEMPTY);
  } else if (to.node->directory) {
    return vfs::FsError(EISDIR);
  }
  return {};
}

vfs::FsStatus NameTree::CheckExchange(const Place& from, const Place& to) const {
  if (!to.node) return vfs::FsError(ENOENT);
  if (from.node->directory && IsBelow(to.parent, *from.node)) return vfs::FsError(EINVAL);
  if (to.node->directory && IsBelow(from.parent, *to.node)) return vfs::FsError(EINVAL);
  return {};
}

void NameTree::Exchange(const Place& from, const Place& to) {
  from.parent.directory->entries.Replace(from.name, to.node);
  to.parent.directory->entries.Replace(to.name, from.node);
  const int from_is_directory = from.node->directory ? 1 : 0;
  const int to_is_directory = to.node->directory ? 1 : 0;
  if (from.node->directory) from.node->directory->parent = to.parent.inode;
  if (to.node->directory) to.node->directory->parent = from.parent.inode;
  TouchModified(from.parent);
  TouchModified(to.parent);
  TouchChanged(from.parent, to_is_directory - from_is_directory);
  TouchChanged(to.parent, from_is_directory - to_is_directory);
  TouchChanged(*from.node);
  TouchChanged(*to.node);
  journal_.RecordNames({{from.parent, from.name, to.node.get()}, {to.parent, to.name, from.node.get()}});
}

// Onto `to`, whose node, if it has one, is a file or an empty directory. A name that was there keeps its cookie.
void NameTree::Move(const Place& from, const Place& to) {
  if (to.node) {
    TouchChanged(*to.node, to.node->directory ? -2 : -1);
    if (to.node->directory) TouchChanged(to.parent, -1);
    to.parent.directory->entries.Replace(to.name, from.node);
  } else {
    to.parent.directory->entries.Add(to.name, from.node);
  }
  from.parent.directory->entries.Remove(from.name);
  if (from.node->directory) {
    from.node->directory->parent = to.parent.inode;
    TouchChanged(from.parent, -1);
    TouchChanged(to.parent, 1);
  }
  TouchModified(from.parent);
  TouchModified(to.parent);
  TouchChanged(*from.node);
  journal_.RecordNames({{to.parent, to.name, from.node.get()}, {from.parent, from.name, nullptr}});
}

vfs::FsResult<NodePtr> NameTree::Rename(Node& parent, std::string_view name, Node& new_parent,
                                        std::string_view new_name, vfs::RenameMode mode) {
  if (const auto entered = Enter(parent, name); !entered) return std::unexpected(entered.error());
  if (const auto entered = Enter(new_parent, new_name); !entered) return std::unexpected(entered.error());
  while (true) {
    NodePtr to_load;
    {
      const std::unique_lock lock(mutex_);
      Place from{parent, name, parent.directory->entries.Find(name)};
      Place to{new_parent, new_name, new_parent.directory->entries.Find(new_name)};
      if (!from.node || IsRemoved(new_parent)) return vfs::FsError(ENOENT);
      if (to.node && mode == vfs::RenameMode::kNoReplace) return vfs::FsError(EEXIST);
      const bool exchange = mode == vfs::RenameMode::kExchange;
      if (exchange || !to.node || !to.node->directory || to.node->directory->loaded) {
        const auto checked = exchange ? CheckExchange(from, to) : CheckReplace(from, to);
        if (!checked) return std::unexpected(checked.error());
        if (from.node == to.node) return NodePtr{};
        if (exchange) {
          Exchange(from, to);
          return NodePtr{};
        }
        Move(from, to);
        return to.node;
      }
      to_load = to.node;
    }
    if (const auto loaded = Load(*to_load); !loaded) return std::unexpected(loaded.error());
  }
}

// Entries are copied out first, so that the visitor may call the file system.
vfs::FsStatus NameTree::ReadDirectory(Node& directory, uint64_t cookie, const vfs::DirectoryVisitor& visit) {
  constexpr size_t kBatch = 128;
  struct Listed {
    uint64_t cookie = 0;
    EntryList::Entry entry;
  };
  if (!directory.directory) return vfs::FsError(ENOTDIR);
  if (const auto loaded = Load(directory); !loaded) return loaded;
  std::vector<Listed> batch;
  batch.reserve(kBatch);
  do {
    batch.clear();
    {
      const std::shared_lock lock(mutex_);
      const auto& entries = directory.directory->entries.by_cookie();
      for (auto at = entries.upper_bound(cookie); at != entries.end() && batch.size() < kBatch; ++at) {
        batch.push_back({at->first, at->second});
      }
    }
    for (const auto& listed : batch) {
      const Node& node = *listed.entry.node;
      const vfs::DirectoryEntry shown{.name = listed.entry.name,
                                      .inode = node.inode,
                                      .shown_inode = node.shown_inode,
                                      .type = node.type,
                                      .next_cookie = listed.cookie};
      if (!visit(shown)) return {};
      cookie = listed.cookie;
    }
  } while (batch.size() == kBatch);
  return {};
}

vfs::Inode NameTree::ParentOf(const Node& directory) const {
  const std::shared_lock lock(mutex_);
  return directory.directory->parent;
}

}  // namespace pgstrata::layer
