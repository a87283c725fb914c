// An inode: attributes, and what it holds as a file, a directory or a link.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "volume/layer/attributes.h"
#include "volume/layer/file_content.h"
#include "volume/vfs/file_system.h"

namespace pgstrata::layer {

struct Node;
using NodePtr = std::shared_ptr<Node>;

// The entries of one directory, in the order of their cookies. A cookie is never used again, and an entry keeps its
// cookie for as long as its name is there, so that a listing in progress meets it exactly once.
//
// Not safe from several threads: NameTree's mutex guards it.
class EntryList {
 public:
  struct Entry {
    std::string name;
    NodePtr node;
  };

  // Null where there is none.
  [[nodiscard]] NodePtr Find(std::string_view name) const;
  // `name` is not there yet.
  void Add(std::string_view name, NodePtr node);
  // `name` is there: it now stands for `node`.
  void Replace(std::string_view name, NodePtr node);
  // `name` is there.
  void Remove(std::string_view name);
  [[nodiscard]] bool empty() const { return by_cookie_.empty(); }
  // In the order of their cookies; the entries after `cookie` are [by_cookie().upper_bound(cookie), end()).
  [[nodiscard]] const std::map<uint64_t, Entry>& by_cookie() const { return by_cookie_; }

 private:
  std::map<uint64_t, Entry> by_cookie_;
  std::unordered_map<std::string_view, std::map<uint64_t, Entry>::iterator> by_name_;  // views of Entry::name
  uint64_t last_cookie_ = 0;
};

// What a directory has besides attributes.
struct Directory {
  const std::string image_path;  // where its children come from, when it came from the image
  const bool from_image;
  std::mutex loading;           // held while the image is listed; before every other lock
  std::atomic<bool> loaded;     // set with NameTree's mutex held, after `entries` was filled; never reset
  bool failure_logged = false;  // guarded by loading
  // What the logs say of its names, before it is loaded; null: gone. Constant until then, empty afterwards.
  std::map<std::string, NodePtr, std::less<>> overrides;
  // Guarded by NameTree's mutex:
  EntryList entries;
  vfs::Inode parent;  // set when the parent's entries are loaded
};

struct Node : std::enable_shared_from_this<Node> {
  Node(vfs::Inode number, uint64_t shown_number, mode_t file_type, const Attributes& initial)
      : inode(number), shown_inode(shown_number), type(file_type), attributes(initial) {}

  // Constant, and with them at most one of the three below (fifos, sockets and devices have none):
  const vfs::Inode inode;
  const uint64_t shown_inode;
  const mode_t type;  // S_IFREG, S_IFDIR, S_IFLNK, ...
  dev_t device = 0;   // of a character or block device
  std::unique_ptr<FileContent> content;
  std::unique_ptr<Directory> directory;
  std::string link_target;
  std::string link_origin;  // of a link: its path in the image, or empty

  // References given to callers. Grows only while the node has a name, or by somebody who holds one.
  std::atomic<uint64_t> references = 0;

  // The last lock of all but those below a FileContent. link_count is changed with NameTree's mutex held too; once it
  // is 0 it stays so.
  mutable std::mutex mutex;
  // Guarded by mutex:
  Attributes attributes;
  bool attributes_owed = false;  // they changed since the log was told

  // For Journal:
  std::atomic<bool> recorded = false;      // a log has its Node record; set with mutex held
  std::atomic<bool> listed = false;        // it is in the list of changed nodes
  std::atomic<uint64_t> log_position = 0;  // behind the last record about the node, its names and its attributes
};

timespec Now();
// What a caller sees of `node`.
vfs::Attributes ShownAttributes(const Node& node);
// The content or the entries of `node` changed now.
void TouchModified(Node& node);
// Attributes or names of `node` changed now; adds `links` to its link count.
void TouchChanged(Node& node, int links = 0);

}  // namespace pgstrata::layer
