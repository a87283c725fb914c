#include "volume/layer/layer_state.h"

#include <algorithm>
#include <utility>

namespace pgstrata::layer {

void LayerState::Apply(Record&& record) {
  seal.reset();  // it is one only while nothing follows
  if (auto* node = std::get_if<NodeRecord>(&record)) {
    numbers = std::max(numbers, node->node);
    nodes.insert_or_assign(node->node, std::move(*node));
  } else if (auto* changed = std::get_if<AttributesRecord>(&record)) {
    const auto found = nodes.find(changed->node);
    (found != nodes.end() ? found->second.attributes : attributes[changed->node]) = changed->attributes;
  } else if (auto* renamed = std::get_if<NamesRecord>(&record)) {
    ApplyNames(std::move(*renamed));
  } else if (const auto* size = std::get_if<SizeRecord>(&record)) {
    ApplySize(*size);
  } else if (const auto* blocks = std::get_if<BlocksRecord>(&record)) {
    ApplyBlocks(*blocks);
  } else if (const auto* end = std::get_if<EndRecord>(&record)) {
    ApplyEnd(end->node);
  } else if (const auto* number = std::get_if<NumbersRecord>(&record)) {
    numbers = std::max(numbers, number->number);
  } else {
    seal = std::get<SealRecord>(record);
  }
}

void LayerState::ApplyNames(NamesRecord&& record) {
  for (auto& change : record.changes) {
    const auto directory = nodes.find(change.directory);
    // A directory that is new in this layer has nothing below it that would have to be hidden.
    const bool hides = directory == nodes.end() || directory->second.from_image;
    if (change.node == 0 && !hides) {
      if (const auto own = names.find(change.directory); own != names.end()) own->second.erase(change.name);
    } else {
      names[change.directory].insert_or_assign(std::move(change.name), change.node);
    }
  }
}

void LayerState::ApplySize(const SizeRecord& record) {
  FileState& file = files[record.node];
  file.map.ClearFrom(BlocksFor(record.size));
  file.has_size = true;
  file.size = record.size;
  file.base_limit = record.base_limit;
}

void LayerState::ApplyBlocks(const BlocksRecord& record) {
  FileState& file = files[record.node];
  const uint64_t blocks = file.has_size ? BlocksFor(file.size) : BlocksFor(kMaxFileSize);
  for (const BlockRun& run : record.runs) {
    const uint64_t end = std::min(run.end, blocks);
    if (run.begin < end) file.map.Set(run.begin, end, run.state);
  }
}

void LayerState::ApplyEnd(uint64_t node) {
  names.erase(node);
  files.erase(node);
  attributes.erase(node);
  const auto found = nodes.find(node);
  if (found != nodes.end() && !(found->second.from_image && found->second.kind == NodeKind::kDirectory)) {
    nodes.erase(found);
  } else {
    ended.insert(node);
  }
}

void LayerState::WriteFile(uint64_t node, const FileState& file,
                           const std::function<void(const Record&)>& write) const {
  if (file.has_size) write(SizeRecord{node, file.size, file.base_limit});
  const uint64_t end = file.has_size ? BlocksFor(file.size) : file.map.end();
  BlocksRecord blocks{.node = node};
  for (uint64_t at = 0; at < end;) {
    const BlockRun run = file.map.RunAt(at, end);
    if (run.state != BlockState::kBelow) blocks.runs.push_back(run);
    at = run.end;
    if (blocks.runs.size() < kMaxRunsInRecord && (at < end || blocks.runs.empty())) continue;
    write(std::exchange(blocks, BlocksRecord{.node = node}));
  }
}

void LayerState::ForEachRecord(const std::function<void(const Record&)>& write) const {
  if (numbers != 0) write(NumbersRecord{numbers});
  for (const auto& [number, node] : nodes) write(node);
  for (const auto& [number, changed] : attributes) write(AttributesRecord{number, changed});
  for (const auto& [directory, entries] : names) {
    for (const auto& [name, node] : entries) write(NamesRecord{{{directory, node, name}}});
  }
  for (const auto& [node, file] : files) WriteFile(node, file, write);
  for (const uint64_t node : ended) write(EndRecord{node});
}

SealRecord LayerState::Totals() const {
  SealRecord totals{.nodes = nodes.size()};
  for (const auto& [node, file] : files) totals.bytes += file.map.data_blocks() * kBlockSize;
  return totals;
}

}  // namespace pgstrata::layer
