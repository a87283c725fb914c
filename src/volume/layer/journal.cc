#include "volume/layer/journal.h"

#include <utility>

namespace pgstrata::layer {
namespace {

// Node numbers are reserved so many at a time.
constexpr uint64_t kNumbersAtOnce = 4096;

// With the node's mutex held.
NodeRecord RecordOf(const Node& node) {
  NodeRecord record{.node = node.inode.value, .attributes = node.attributes};
  if (node.content) {
    record.kind = NodeKind::kFile;
    if (const BaseFile* base = node.content->base(); base != nullptr) {
      record.from_image = true;
      record.origin = base->path();
      record.origin_size = base->size();
    }
  } else if (node.directory) {
    record.kind = NodeKind::kDirectory;
    record.from_image = node.directory->from_image;
    record.origin = node.directory->image_path;
  } else if (node.type != S_IFLNK) {
    record.kind = KindOf(node.type);
    record.device = static_cast<uint32_t>(node.device);
  } else {
    record.kind = NodeKind::kLink;
    record.from_image = !node.link_origin.empty();
    record.origin = node.link_origin;
    record.link_target = node.link_target;
  }
  return record;
}

}  // namespace

void Journal::NotePosition(Node& node, uint64_t position) {
  uint64_t known = node.log_position.load();
  while (known < position && !node.log_position.compare_exchange_weak(known, position)) {
  }
}

void Journal::Adopt(Node& node) {
  if (!stack_.durable() || node.recorded.load()) return;
  const std::scoped_lock lock(node.mutex);
  if (node.recorded.load()) return;
  {
    const std::scoped_lock numbers(numbers_mutex_);
    if (node.inode.value > numbers_) {
      numbers_ = node.inode.value + kNumbersAtOnce;
      stack_.Append(NumbersRecord{numbers_});
    }
  }
  NotePosition(node, stack_.Append(RecordOf(node)));
  node.attributes_owed = false;
  node.recorded.store(true);
}

void Journal::RecordNames(std::initializer_list<NameChange> changes) {
  if (!stack_.durable()) return;
  NamesRecord record;
  for (const NameChange& change : changes) {
    Adopt(change.directory);
    if (change.node != nullptr) Adopt(*change.node);
    const uint64_t number = change.node != nullptr ? change.node->inode.value : 0;
    record.changes.push_back({change.directory.inode.value, number, std::string(change.name)});
  }
  const uint64_t position = stack_.Append(record);
  for (const NameChange& change : changes) {
    NotePosition(change.directory, position);
    if (change.node != nullptr) NotePosition(*change.node, position);
    NoteChange(change.directory);
    if (change.node != nullptr) NoteChange(*change.node);
  }
}

void Journal::RecordAttributes(Node& node) {
  if (!stack_.durable()) return;
  Adopt(node);
  const std::scoped_lock lock(node.mutex);
  if (!std::exchange(node.attributes_owed, false)) return;
  NotePosition(node, stack_.Append(AttributesRecord{node.inode.value, node.attributes}));
}

void Journal::RecordEnd(Node& node) {
  if (!stack_.durable() || !node.recorded.load()) return;
  stack_.Append(EndRecord{node.inode.value});
}

void Journal::NoteChange(Node& node) {
  if (!stack_.durable() || node.listed.exchange(true)) return;
  const std::scoped_lock lock(list_mutex_);
  changed_.push_back(node.shared_from_this());
}

std::vector<NodePtr> Journal::TakeChanged() {
  std::vector<NodePtr> taken;
  {
    const std::scoped_lock lock(list_mutex_);
    taken = std::exchange(changed_, {});
  }
  for (const NodePtr& node : taken) node->listed.store(false);
  return taken;
}

}  // namespace pgstrata::layer
