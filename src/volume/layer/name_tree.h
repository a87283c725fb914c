// The names of a volume: directories and what is in them. Children that come from the image are loaded at the first use
// of their directory; from then on the directory's own list is the truth, so that what was removed stays away. What the
// logs say of a directory of the image stands beside it until then (Directory::overrides).
//
// Locks, in this order: Directory::loading, mutex_, those of InodeTable, Node::mutex, those of the log. mutex_ is held
// for memory only, never while the image is read. Reading and writing files takes none of them but the last two, each
// for a moment.
#pragma once

#include <functional>
#include <shared_mutex>
#include <string_view>

#include "volume/layer/inode_table.h"
#include "volume/layer/journal.h"

namespace pgstrata::layer {

// Safe from several threads. Names are checked here. Every `parent` is a directory, or the result is ENOTDIR; one that
// was removed has no entries and takes none: ENOENT.
class NameTree {
 public:
  NameTree(const image::Image& image, InodeTable& inodes, Journal& journal)
      : image_(image), inodes_(inodes), journal_(journal) {}

  // What a log says, before anything is used: `node`, or null for nothing, has this name.
  static void Restore(Node& parent, const std::string& name, const NodePtr& node);

  // With one more reference.
  vfs::FsResult<NodePtr> Lookup(Node& parent, std::string_view name);
  // Gives `make()`, a node without a name, this name and one reference. EEXIST.
  vfs::FsStatus Insert(Node& parent, std::string_view name, const std::function<NodePtr()>& make, NodePtr& made);
  // A further name of `node`, and one more reference.
  vfs::FsStatus Link(const NodePtr& node, Node& parent, std::string_view name);
  // These two return what lost its name.
  vfs::FsResult<NodePtr> Unlink(Node& parent, std::string_view name);
  vfs::FsResult<NodePtr> RemoveDirectory(Node& parent, std::string_view name);
  // Returns what lost its name by being replaced, or null.
  vfs::FsResult<NodePtr> Rename(Node& parent, std::string_view name, Node& new_parent, std::string_view new_name,
                                vfs::RenameMode mode);
  vfs::FsStatus ReadDirectory(Node& directory, uint64_t cookie, const vfs::DirectoryVisitor& visit);
  vfs::Inode ParentOf(const Node& directory) const;

 private:
  // One side of a rename.
  struct Place {
    Node& parent;
    std::string_view name;
    NodePtr node;
  };

  vfs::FsStatus Load(Node& directory);
  // Checks that a name can be used in `parent`, and loads it.
  vfs::FsStatus Enter(Node& parent, std::string_view name);
  // The rest with mutex_ held.
  [[nodiscard]] static bool IsRemoved(const Node& directory);
  [[nodiscard]] bool IsBelow(const Node& directory, const Node& ancestor) const;
  vfs::FsStatus CheckReplace(const Place& from, const Place& to) const;
  vfs::FsStatus CheckExchange(const Place& from, const Place& to) const;
  void Exchange(const Place& from, const Place& to);
  void Move(const Place& from, const Place& to);
  void Drop(Node& parent, std::string_view name, Node& node);

  const image::Image& image_;
  InodeTable& inodes_;
  Journal& journal_;
  mutable std::shared_mutex mutex_;
};

}  // namespace pgstrata::layer
