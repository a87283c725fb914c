// The nodes of a volume by number, and where new ones come from.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <unordered_map>

#include "backup/image/image.h"
#include "volume/layer/node.h"

namespace pgstrata::layer {

// Safe from several threads. Everything referred to outlives it.
class InodeTable {
 public:
  // `owner` is shown for all that comes from the image; `root_shown_inode` is the root's st_ino.
  InodeTable(const image::Image& image, LayerStack& stack, OpenFiles& open_files, Counters& counters, vfs::Owner owner,
             uint64_t root_shown_inode)
      : image_(image),
        stack_(stack),
        open_files_(open_files),
        counters_(counters),
        owner_(owner),
        root_shown_inode_(root_shown_inode) {}

  // The first node made is the root. Numbers are never used again.
  NodePtr MakeFile(mode_t permissions, vfs::Owner owner);
  NodePtr MakeDirectory(mode_t permissions, vfs::Owner owner, vfs::Inode parent);
  NodePtr MakeLink(std::string_view target, vfs::Owner owner);
  // A fifo, a socket or a device, as `mode` says.
  NodePtr MakeSpecial(mode_t mode, dev_t device, vfs::Owner owner);
  // What the image has at `path`, below the directory `parent`.
  NodePtr MakeFromImage(const image::Entry& entry, std::string path, vfs::Inode parent);

  // What a log says. `content` for a file only, made of what MakeBase returned. Where it still has its name in the
  // image, the directory that it is in finds it by TakeRestored.
  NodePtr Restore(const NodeRecord& record, std::unique_ptr<FileContent> content, bool has_name_of_origin);
  std::shared_ptr<BaseFile> MakeBase(std::string path, uint64_t size);
  // The restored node that came from `path` in the image, or null.
  NodePtr TakeRestored(const std::string& path);
  // New numbers are above `number`.
  void StartNumbersAt(uint64_t number) { last_number_.store(number); }

  // Memory that nodes take, about.
  [[nodiscard]] uint64_t memory() const;

  // Null where there is no such node.
  [[nodiscard]] NodePtr Find(vfs::Inode inode) const;
  // True for the one caller that removed it.
  bool Remove(vfs::Inode inode);

 private:
  static constexpr size_t kShards = 64;
  struct alignas(64) Shard {
    mutable std::shared_mutex mutex;
    std::unordered_map<uint64_t, NodePtr> nodes;  // guarded by mutex
  };

  vfs::Inode NewNumber() { return vfs::Inode{last_number_.fetch_add(1) + 1}; }
  NodePtr NewNode(vfs::Inode number, mode_t type, const Attributes& attributes);
  void Publish(const NodePtr& node);
  [[nodiscard]] const Shard& ShardOf(vfs::Inode inode) const { return shards_[inode.value % kShards]; }

  const image::Image& image_;
  LayerStack& stack_;
  OpenFiles& open_files_;
  Counters& counters_;
  const vfs::Owner owner_;
  const uint64_t root_shown_inode_;
  std::atomic<uint64_t> last_number_ = vfs::kRootInode.value - 1;
  std::array<Shard, kShards> shards_;
  std::mutex restored_mutex_;
  std::unordered_map<std::string, NodePtr> restored_;  // guarded by restored_mutex_: by path in the image
};

}  // namespace pgstrata::layer
