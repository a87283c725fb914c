#include "volume/layer/restore.h"

#include <algorithm>
#include <unordered_set>

#include "volume/layer/name_tree.h"

namespace pgstrata::layer {
namespace {

// What a log has of a file as a blob above `below`.
std::shared_ptr<Blob> MakeBlob(Layer& layer, uint64_t node, std::shared_ptr<Below> below,
                               LayerState::FileState&& state) {
  const uint64_t below_size = below ? below->size() : 0;
  auto blob = std::make_shared<Blob>(layer, node, std::move(below), state.map.data_blocks() != 0);
  blob->map = std::exchange(state.map, {});
  layer.data_blocks.Add(blob->map.data_blocks());
  blob->length = state.has_size ? state.size : below_size;
  // A lower layer may have lost what was not synced of its length.
  blob->base_limit = std::min({state.has_size ? state.base_limit : below_size, blob->length, below_size});
  blob->logged_length = blob->length;
  blob->length_is_logged = state.has_size;
  const uint64_t before = blob->map.data_blocks();
  blob->map.ClearFrom(BlocksFor(blob->length));
  layer.data_blocks.Subtract(before - blob->map.data_blocks());
  blob->stale_tail = true;
  return blob;
}

}  // namespace

StackState::StackState(const std::vector<LayerState*>& layers) : layers_(layers) {
  for (const LayerState* layer : layers_) Merge(*layer);
  CountNames();
  for (const auto& [number, node] : nodes_) {
    if (number != kRootNode && name_counts_[number] == 0) dead_.push_back(number);
  }
  for (const uint64_t number : dead_) nodes_.erase(number);
}

void StackState::Merge(const LayerState& layer) {
  numbers_ = std::max(numbers_, layer.numbers);
  for (const auto& [number, node] : layer.nodes) {
    nodes_.insert_or_assign(number, node);
    if (node.kind == NodeKind::kDirectory && node.from_image) directory_of_origin_[node.origin] = number;
  }
  for (const auto& [number, attributes] : layer.attributes) {
    if (const auto found = nodes_.find(number); found != nodes_.end()) found->second.attributes = attributes;
  }
  for (const auto& [directory, entries] : layer.names) {
    auto& merged = names_[directory];
    for (const auto& [name, node] : entries) merged.insert_or_assign(name, node);
  }
  for (const uint64_t number : layer.ended) {
    const auto found = nodes_.find(number);
    if (found == nodes_.end() || number == kRootNode) continue;
    const NodeRecord& node = found->second;
    if (node.kind == NodeKind::kDirectory && node.from_image) directory_of_origin_[node.origin] = 0;
    names_.erase(number);
    nodes_.erase(found);
  }
}

void StackState::DropIdleNames(const image::Image& image) {
  for (auto& [directory, names] : layers_.back()->names) {
    const auto node = nodes_.find(directory);
    if (node == nodes_.end() || std::ranges::none_of(names, [](const auto& entry) { return entry.second == 0; }))
      continue;
    std::unordered_set<std::string> below;
    if (node->second.from_image) {
      const auto entries = image.List(node->second.origin);
      if (!entries) continue;
      for (const auto& entry : *entries) below.insert(entry.name);
    }
    for (size_t i = 0; i + 1 < layers_.size(); ++i) {
      const auto lower = layers_[i]->names.find(directory);
      if (lower == layers_[i]->names.end()) continue;
      for (const auto& [name, child] : lower->second) below.insert(name);
    }
    std::erase_if(names, [&](const auto& entry) { return entry.second == 0 && !below.contains(entry.first); });
  }
}

bool StackState::HasNameOfOrigin(const NodeRecord& node) const {
  if (!node.from_image) return false;
  const size_t slash = node.origin.find_last_of('/');
  const std::string parent = slash == std::string::npos ? "" : node.origin.substr(0, slash);
  const std::string_view name = std::string_view(node.origin).substr(slash == std::string::npos ? 0 : slash + 1);
  const auto directory = directory_of_origin_.find(parent);
  if (directory == directory_of_origin_.end()) return true;  // nobody changed it
  if (directory->second == 0) return false;
  const auto names = names_.find(directory->second);
  return names == names_.end() || !names->second.contains(name);
}

void StackState::CountNames() {
  for (const auto& [directory, entries] : names_) {
    if (!nodes_.contains(directory)) continue;
    for (const auto& [name, node] : entries) ++name_counts_[node];
  }
  for (const auto& [number, node] : nodes_) name_counts_[number] += HasNameOfOrigin(node) ? 1 : 0;
}

std::unique_ptr<FileContent> StackState::BuildContent(const NodeRecord& node, InodeTable& inodes, LayerStack& stack,
                                                      bool distrusted) {
  std::shared_ptr<BaseFile> base;
  if (node.from_image) base = inodes.MakeBase(node.origin, node.origin_size);
  std::shared_ptr<Blob> newest;
  const std::vector<Layer*> layers = stack.layers();
  for (size_t i = 0; i < layers_.size(); ++i) {
    const auto found = layers_[i]->files.find(node.node);
    if (found == layers_[i]->files.end()) continue;
    std::shared_ptr<Below> below = base;
    if (newest) below = newest;
    newest = MakeBlob(*layers[i], node.node, std::move(below), std::move(found->second));
    layers_[i]->files.erase(found);
    newest->unsynced = distrusted && i + 1 == layers_.size() && newest->map.data_blocks() != 0;
  }
  return std::make_unique<FileContent>(stack, node.node, std::move(base), std::move(newest));
}

std::vector<NodePtr> StackState::Build(InodeTable& inodes, LayerStack& stack, bool distrusted) {
  std::vector<NodePtr> owing;
  for (auto& [number, node] : nodes_) {
    const bool is_file = node.kind == NodeKind::kFile;
    // A directory of the image is counted when it is loaded.
    if (node.kind != NodeKind::kDirectory) node.attributes.link_count = name_counts_[number];
    if (node.kind == NodeKind::kDirectory && !node.from_image) node.attributes.link_count = 2;
    const NodePtr made =
        inodes.Restore(node, is_file ? BuildContent(node, inodes, stack, distrusted) : nullptr, HasNameOfOrigin(node));
    if (is_file && made->content->Owes()) owing.push_back(made);
  }
  for (const auto& [number, entries] : names_) {
    const NodePtr directory = inodes.Find({number});
    if (!directory || !directory->directory) continue;
    for (const auto& [name, child] : entries) {
      const NodePtr node = child == 0 ? nullptr : inodes.Find({child});
      NameTree::Restore(*directory, name, node);
      if (node && node->directory && !directory->directory->from_image) ++directory->attributes.link_count;
    }
  }
  return owing;
}

}  // namespace pgstrata::layer
