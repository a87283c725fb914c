// From what the logs of a stack say to the nodes of a volume.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "volume/layer/inode_table.h"
#include "volume/layer/layer_stack.h"
#include "volume/layer/layer_state.h"

namespace pgstrata::layer {

// The nodes and names that all layers together say, the topmost having the last word.
//
// A node is there while it has a name: one that a log gives it, or that of its origin, unless another stands for that
// name. Counting them is more robust than counting on what was counted: a log may end between a name and a link count.
class StackState {
 public:
  // The lowest first.
  explicit StackState(const std::vector<LayerState*>& layers);

  // Nodes that a log knows and that are not there any more.
  [[nodiscard]] const std::vector<uint64_t>& dead() const { return dead_; }
  // Takes out of the topmost layer's state what says that nothing has a name which nothing below has either: names that
  // came and went. Lists directories of `image`.
  void DropIdleNames(const image::Image& image);
  // Makes the nodes and their names. Takes the maps out of the layers' states; `stack` has the same layers. With
  // `distrusted`, data files of the topmost layer may hold what is not durable: returns the files that owe a sync then.
  std::vector<NodePtr> Build(InodeTable& inodes, LayerStack& stack, bool distrusted);
  [[nodiscard]] bool has_root() const { return nodes_.contains(kRootNode); }
  // Above this are numbers that nobody ever had.
  [[nodiscard]] uint64_t numbers() const { return numbers_; }

 private:
  void Merge(const LayerState& layer);
  void CountNames();
  [[nodiscard]] bool HasNameOfOrigin(const NodeRecord& node) const;
  std::unique_ptr<FileContent> BuildContent(const NodeRecord& node, InodeTable& inodes, LayerStack& stack,
                                            bool distrusted);

  const std::vector<LayerState*> layers_;
  std::map<uint64_t, NodeRecord> nodes_;
  std::unordered_map<uint64_t, std::map<std::string, uint64_t, std::less<>>> names_;
  std::unordered_map<std::string, uint64_t> directory_of_origin_;  // 0: it ended
  std::unordered_map<uint64_t, uint64_t> name_counts_;
  std::vector<uint64_t> dead_;
  uint64_t numbers_ = kRootNode;
};

}  // namespace pgstrata::layer
