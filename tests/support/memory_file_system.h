// A FileSystem in memory, for tests of what stands on one. One lock around everything; blocks of 4 KiB, absent ones are
// holes. Fails on request.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "volume/vfs/file_system.h"

namespace pgstrata::test {

// Read and set by the test while the file system works, also from another process when they lie in shared memory.
struct MemoryFileSystemControls {
  // From now on every Read, Write and Sync fails with this errno (0: works again).
  std::atomic<int> fail_with = 0;
  std::atomic<uint64_t> reads = 0, writes = 0, syncs = 0, directory_syncs = 0, written_bytes = 0;
  std::atomic<size_t> inodes = 0;
};

class MemoryFileSystem : public vfs::FileSystem {
 public:
  explicit MemoryFileSystem(vfs::Owner owner = {}, uint64_t root_shown_inode = 1,
                            MemoryFileSystemControls* controls = nullptr)
      : controls_(controls != nullptr ? *controls : own_controls_) {
    controls_.inodes = 1;
    Node& root = nodes_[vfs::kRootInode.value];
    root.attributes = NewAttributes(vfs::kRootInode, S_IFDIR | 0755, owner);
    root.attributes.shown_inode = root_shown_inode;
    root.attributes.link_count = 2;
    root.parent = vfs::kRootInode;
    root.references = 1;
  }

  size_t InodeCount() {
    const std::scoped_lock lock(mutex_);
    return nodes_.size();
  }

  vfs::FsResult<vfs::Attributes> Lookup(vfs::Inode parent, std::string_view name) override {
    const std::scoped_lock lock(mutex_);
    const auto found = Find(parent, name);
    if (!found) return std::unexpected(found.error());
    Node& node = nodes_.at(found->value);
    ++node.references;
    return node.attributes;
  }
  void Forget(vfs::Inode inode, uint64_t references) override {
    const std::scoped_lock lock(mutex_);
    nodes_.at(inode.value).references -= references;
    DropIfUnused(inode);
  }
  vfs::FsResult<vfs::Attributes> GetAttributes(vfs::Inode inode) override {
    const std::scoped_lock lock(mutex_);
    const auto node = nodes_.find(inode.value);
    if (node == nodes_.end()) return vfs::FsError(ESTALE);
    return node->second.attributes;
  }
  vfs::FsResult<vfs::Attributes> SetAttributes(vfs::Inode inode, const vfs::AttributeChange& change) override {
    const std::scoped_lock lock(mutex_);
    Node& node = nodes_.at(inode.value);
    vfs::Attributes& attributes = node.attributes;
    if (change.mode) attributes.mode = (attributes.mode & S_IFMT) | *change.mode;
    if (change.uid) attributes.uid = *change.uid;
    if (change.gid) attributes.gid = *change.gid;
    if (change.accessed) attributes.accessed = *change.accessed;
    if (change.size) {
      if (*change.size < attributes.size) Clear(node, *change.size, attributes.size - *change.size);
      attributes.size = *change.size;
      attributes.modified = Now();
    }
    if (change.modified) attributes.modified = *change.modified;
    attributes.changed = Now();
    return attributes;
  }
  vfs::FsResult<std::string> ReadLink(vfs::Inode inode) override {
    const std::scoped_lock lock(mutex_);
    return nodes_.at(inode.value).target;
  }

  vfs::FsResult<vfs::Attributes> CreateFile(vfs::Inode parent, std::string_view name, mode_t mode,
                                            vfs::Owner owner) override {
    const std::scoped_lock lock(mutex_);
    return Make(parent, name, S_IFREG | mode, owner);
  }
  vfs::FsResult<vfs::Attributes> MakeDirectory(vfs::Inode parent, std::string_view name, mode_t mode,
                                               vfs::Owner owner) override {
    const std::scoped_lock lock(mutex_);
    const auto made = Make(parent, name, S_IFDIR | mode, owner);
    if (!made) return made;
    Node& node = nodes_.at(made->inode.value);
    node.parent = parent;
    node.attributes.link_count = 2;
    ++nodes_.at(parent.value).attributes.link_count;
    return node.attributes;
  }
  vfs::FsResult<vfs::Attributes> MakeLink(vfs::Inode parent, std::string_view name, std::string_view target,
                                          vfs::Owner owner) override {
    const std::scoped_lock lock(mutex_);
    const auto made = Make(parent, name, S_IFLNK | 0777, owner);
    if (!made) return made;
    Node& node = nodes_.at(made->inode.value);
    node.target = target;
    node.attributes.size = target.size();
    return node.attributes;
  }
  vfs::FsResult<vfs::Attributes> Link(vfs::Inode inode, vfs::Inode parent, std::string_view name) override {
    const std::scoped_lock lock(mutex_);
    Node& node = nodes_.at(inode.value);
    if (S_ISDIR(node.attributes.mode)) return vfs::FsError(EPERM);
    if (Find(parent, name)) return vfs::FsError(EEXIST);
    Attach(parent, name, inode);
    ++node.attributes.link_count;
    ++node.references;
    return node.attributes;
  }
  vfs::FsStatus Unlink(vfs::Inode parent, std::string_view name) override {
    const std::scoped_lock lock(mutex_);
    const auto found = Find(parent, name);
    if (!found) return std::unexpected(found.error());
    if (S_ISDIR(nodes_.at(found->value).attributes.mode)) return vfs::FsError(EISDIR);
    Detach(parent, name);
    return {};
  }
  vfs::FsStatus RemoveDirectory(vfs::Inode parent, std::string_view name) override {
    const std::scoped_lock lock(mutex_);
    const auto found = Find(parent, name);
    if (!found) return std::unexpected(found.error());
    const Node& node = nodes_.at(found->value);
    if (!S_ISDIR(node.attributes.mode)) return vfs::FsError(ENOTDIR);
    if (!node.entries.empty()) return vfs::FsError(ENOTEMPTY);
    Detach(parent, name);
    return {};
  }
  vfs::FsStatus Rename(vfs::Inode parent, std::string_view name, vfs::Inode new_parent, std::string_view new_name,
                       vfs::RenameMode mode) override {
    const std::scoped_lock lock(mutex_);
    const auto from = Find(parent, name);
    if (!from) return std::unexpected(from.error());
    const auto to = Find(new_parent, new_name);
    if (mode == vfs::RenameMode::kExchange) {
      if (!to) return std::unexpected(to.error());
      Place(parent, name, *to);
      Place(new_parent, new_name, *from);
      return {};
    }
    if (to && mode == vfs::RenameMode::kNoReplace) return vfs::FsError(EEXIST);
    if (to && *to == *from) return {};
    if (to && !nodes_.at(to->value).entries.empty()) return vfs::FsError(ENOTEMPTY);
    if (to) Detach(new_parent, new_name);
    Node& old_directory = nodes_.at(parent.value);
    old_directory.cookies.erase(old_directory.entries.at(std::string(name)).cookie);
    old_directory.entries.erase(std::string(name));
    const bool directory = S_ISDIR(nodes_.at(from->value).attributes.mode);
    if (directory) --old_directory.attributes.link_count;
    Attach(new_parent, new_name, *from);
    if (directory) {
      ++nodes_.at(new_parent.value).attributes.link_count;
      nodes_.at(from->value).parent = new_parent;
    }
    return {};
  }

  vfs::FsResult<size_t> Read(vfs::Inode inode, uint64_t offset, MutableBytes out) override {
    ++controls_.reads;
    if (const int error = controls_.fail_with) return vfs::FsError(error);
    const std::scoped_lock lock(mutex_);
    const Node& node = nodes_.at(inode.value);
    if (offset >= node.attributes.size) return size_t{0};
    const size_t wanted = std::min<uint64_t>(out.size(), node.attributes.size - offset);
    ForBlocks(offset, wanted, [&](uint64_t block, size_t at, size_t done, size_t count) {
      const auto found = node.blocks.find(block);
      if (found == node.blocks.end()) {
        std::memset(out.data() + done, 0, count);
      } else {
        std::memcpy(out.data() + done, found->second->data() + at, count);
      }
    });
    return wanted;
  }
  vfs::FsStatus Write(vfs::Inode inode, uint64_t offset, ByteView bytes) override {
    ++controls_.writes;
    controls_.written_bytes += bytes.size();
    if (const int error = controls_.fail_with) return vfs::FsError(error);
    const std::scoped_lock lock(mutex_);
    Node& node = nodes_.at(inode.value);
    ForBlocks(offset, bytes.size(), [&](uint64_t block, size_t at, size_t done, size_t count) {
      auto& content = node.blocks[block];
      if (!content) content = std::make_unique<Block>();
      std::memcpy(content->data() + at, bytes.data() + done, count);
    });
    node.attributes.size = std::max(node.attributes.size, offset + bytes.size());
    node.attributes.blocks = node.blocks.size() * 8;
    return {};
  }
  vfs::FsStatus Allocate(vfs::Inode inode, vfs::AllocationMode mode, uint64_t offset, uint64_t length) override {
    const std::scoped_lock lock(mutex_);
    Node& node = nodes_.at(inode.value);
    if (mode.punch_hole || mode.zero_range) Clear(node, offset, length);
    if (!mode.keep_size && !mode.punch_hole) node.attributes.size = std::max(node.attributes.size, offset + length);
    return {};
  }
  vfs::FsResult<uint64_t> Seek(vfs::Inode inode, uint64_t offset, vfs::SeekTarget target) override {
    const std::scoped_lock lock(mutex_);
    const Node& node = nodes_.at(inode.value);
    const uint64_t size = node.attributes.size;
    if (offset >= size) return vfs::FsError(ENXIO);
    for (uint64_t at = offset; at < size; at = (at / kBlock + 1) * kBlock) {
      if (node.blocks.contains(at / kBlock) == (target == vfs::SeekTarget::kData)) return at;
    }
    if (target == vfs::SeekTarget::kHole) return size;
    return vfs::FsError(ENXIO);
  }
  vfs::FsResult<uint64_t> CopyRange(vfs::Inode from, uint64_t from_offset, vfs::Inode to, uint64_t to_offset,
                                    uint64_t length) override {
    std::vector<std::byte> buffer(length);
    const auto read = Read(from, from_offset, buffer);
    if (!read) return std::unexpected(read.error());
    const auto written = Write(to, to_offset, ByteView(buffer).first(*read));
    if (!written) return std::unexpected(written.error());
    return *read;
  }
  vfs::FsStatus Sync(vfs::Inode, bool) override {
    ++controls_.syncs;
    if (const int error = controls_.fail_with) return vfs::FsError(error);
    return {};
  }

  vfs::FsStatus ReadDirectory(vfs::Inode inode, uint64_t cookie, const vfs::DirectoryVisitor& visit) override {
    const std::scoped_lock lock(mutex_);
    const Node& directory = nodes_.at(inode.value);
    for (auto at = directory.cookies.upper_bound(cookie); at != directory.cookies.end(); ++at) {
      const Entry& entry = directory.entries.at(at->second);
      const vfs::Attributes& attributes = nodes_.at(entry.inode.value).attributes;
      if (!visit({.name = at->second,
                  .inode = entry.inode,
                  .shown_inode = attributes.shown_inode,
                  .type = attributes.mode & S_IFMT,
                  .next_cookie = at->first})) {
        break;
      }
    }
    return {};
  }
  vfs::FsStatus SyncDirectory(vfs::Inode) override {
    ++controls_.directory_syncs;
    return {};
  }
  vfs::FsResult<vfs::Inode> ParentOf(vfs::Inode directory) override {
    const std::scoped_lock lock(mutex_);
    return nodes_.at(directory.value).parent;
  }
  vfs::FsResult<vfs::SpaceInfo> Space() override {
    return vfs::SpaceInfo{.block_size = 4096, .total_blocks = 1000, .free_blocks = 400, .files = 100, .free_files = 50};
  }

  MemoryFileSystemControls& controls() { return controls_; }

 private:
  static constexpr uint64_t kBlock = 4096;
  using Block = std::array<std::byte, kBlock>;
  struct Entry {
    vfs::Inode inode;
    uint64_t cookie = 0;
  };
  struct Node {
    vfs::Attributes attributes;
    uint64_t references = 0;
    vfs::Inode parent;
    std::string target;
    std::map<std::string, Entry> entries;
    std::map<uint64_t, std::string> cookies;
    std::map<uint64_t, std::unique_ptr<Block>> blocks;
  };

  static timespec Now() {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return now;
  }
  static vfs::Attributes NewAttributes(vfs::Inode inode, mode_t mode, vfs::Owner owner) {
    return {.inode = inode,
            .shown_inode = inode.value,
            .mode = mode,
            .uid = owner.uid,
            .gid = owner.gid,
            .accessed = Now(),
            .modified = Now(),
            .changed = Now()};
  }
  // visit(block, offset in the block, bytes done, count)
  template <typename Visit>
  static void ForBlocks(uint64_t offset, size_t length, const Visit& visit) {
    for (size_t done = 0; done < length;) {
      const size_t at = (offset + done) % kBlock;
      const size_t count = std::min<size_t>(kBlock - at, length - done);
      visit((offset + done) / kBlock, at, done, count);
      done += count;
    }
  }
  static void Clear(Node& node, uint64_t offset, uint64_t length) {
    ForBlocks(offset, length, [&](uint64_t block, size_t at, size_t, size_t count) {
      const auto found = node.blocks.find(block);
      if (found == node.blocks.end()) return;
      if (count == kBlock) {
        node.blocks.erase(found);
      } else {
        std::memset(found->second->data() + at, 0, count);
      }
    });
    node.attributes.blocks = node.blocks.size() * 8;
  }

  vfs::FsResult<vfs::Inode> Find(vfs::Inode parent, std::string_view name) {
    const auto& entries = nodes_.at(parent.value).entries;
    const auto found = entries.find(std::string(name));
    if (found == entries.end()) return vfs::FsError(ENOENT);
    return found->second.inode;
  }
  vfs::FsResult<vfs::Attributes> Make(vfs::Inode parent, std::string_view name, mode_t mode, vfs::Owner owner) {
    if (Find(parent, name)) return vfs::FsError(EEXIST);
    const vfs::Inode inode{++last_inode_};
    Node& node = nodes_[inode.value];
    controls_.inodes = nodes_.size();
    node.attributes = NewAttributes(inode, mode, owner);
    node.references = 1;
    Attach(parent, name, inode);
    return node.attributes;
  }
  void Attach(vfs::Inode parent, std::string_view name, vfs::Inode inode) {
    Node& directory = nodes_.at(parent.value);
    directory.entries[std::string(name)] = {.inode = inode, .cookie = ++last_cookie_};
    directory.cookies[last_cookie_] = name;
    directory.attributes.modified = directory.attributes.changed = Now();
  }
  // Puts another inode behind an existing name.
  void Place(vfs::Inode parent, std::string_view name, vfs::Inode inode) {
    nodes_.at(parent.value).entries.at(std::string(name)).inode = inode;
    if (S_ISDIR(nodes_.at(inode.value).attributes.mode)) nodes_.at(inode.value).parent = parent;
  }
  void Detach(vfs::Inode parent, std::string_view name) {
    Node& directory = nodes_.at(parent.value);
    const auto entry = directory.entries.find(std::string(name));
    const vfs::Inode inode = entry->second.inode;
    directory.cookies.erase(entry->second.cookie);
    directory.entries.erase(entry);
    directory.attributes.modified = directory.attributes.changed = Now();
    Node& node = nodes_.at(inode.value);
    if (S_ISDIR(node.attributes.mode)) {
      --directory.attributes.link_count;
      node.attributes.link_count = 0;
    } else {
      --node.attributes.link_count;
    }
    DropIfUnused(inode);
  }
  void DropIfUnused(vfs::Inode inode) {
    const Node& node = nodes_.at(inode.value);
    if (node.references == 0 && node.attributes.link_count == 0) nodes_.erase(inode.value);
    controls_.inodes = nodes_.size();
  }

  MemoryFileSystemControls own_controls_;
  MemoryFileSystemControls& controls_;
  std::mutex mutex_;
  std::map<uint64_t, Node> nodes_;
  uint64_t last_inode_ = 1;
  uint64_t last_cookie_ = 0;
};

}  // namespace pgstrata::test
