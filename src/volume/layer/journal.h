// What a volume tells its log of nodes, names and attributes, and which nodes changed since they were last made
// durable. The bytes of files tell for themselves (FileContent).
//
// A node of the image is in no log until it changes: its first change *adopts* it. Times that change alone, by
// writing or because they are set, are owed: an fsync of the file, a freeze or the end records them.
//
// Locks: Node::mutex may be taken here, and below it LayerLog's; list_mutex_ is a leaf.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "volume/layer/layer_stack.h"
#include "volume/layer/node.h"

namespace pgstrata::layer {

// Safe from several threads. In an ephemeral volume nothing is done. Record functions are called between changes of the
// stack (Volume's gate), in the order in which things happen: for names with NameTree's mutex held.
class Journal {
 public:
  explicit Journal(LayerStack& stack) : stack_(stack) {}

  // Node numbers up to `number` may be in a log.
  void StartNumbersAt(uint64_t number) { numbers_ = number; }

  // The log has `node` from here on.
  void Adopt(Node& node);
  // The names that `changes` are about; directories and nodes are adopted.
  struct NameChange {
    Node& directory;
    std::string_view name;
    Node* node;  // null: the name is gone
  };
  void RecordNames(std::initializer_list<NameChange> changes);
  // What `node` owes of its attributes.
  void RecordAttributes(Node& node);
  void RecordEnd(Node& node);

  // `node` changed: called after the change.
  void NoteChange(Node& node);
  [[nodiscard]] std::vector<NodePtr> TakeChanged();

 private:
  static void NotePosition(Node& node, uint64_t position);

  LayerStack& stack_;
  std::mutex numbers_mutex_;  // held while Node records are appended
  uint64_t numbers_ = 0;      // guarded by numbers_mutex_: the last Numbers record
  std::mutex list_mutex_;
  std::vector<NodePtr> changed_;  // guarded by list_mutex_
};

}  // namespace pgstrata::layer
