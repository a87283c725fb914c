// What the log of one layer says: the sum of its records. It is read when a layer is opened, and written when a log is
// rewritten.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "volume/layer/file_limits.h"
#include "volume/layer/log_format.h"

namespace pgstrata::layer {

// Not safe from several threads.
struct LayerState {
  // What the layer has of a file.
  struct FileState {
    bool has_size = false;  // else length and base limit are those of what lies below
    uint64_t size = 0;
    uint64_t base_limit = 0;
    BlockMap map;
  };

  std::map<uint64_t, NodeRecord> nodes;       // introduced here; attributes as of the last record
  std::map<uint64_t, Attributes> attributes;  // of nodes that a lower layer introduced
  std::unordered_map<uint64_t, std::map<std::string, uint64_t, std::less<>>> names;  // by directory; 0: gone
  std::unordered_map<uint64_t, FileState> files;
  // Nodes that ended: those of lower layers, and directories of the image that this layer introduced (what they held is
  // not found by its origin any more).
  std::unordered_set<uint64_t> ended;
  uint64_t numbers = 0;  // node numbers up to here may have been given out
  std::optional<SealRecord> seal;

  void Apply(Record&& record);
  // Calls `write` for the records that say all this, as few as there can be, without a Seal.
  void ForEachRecord(const std::function<void(const Record&)>& write) const;
  [[nodiscard]] SealRecord Totals() const;

 private:
  void ApplyNames(NamesRecord&& record);
  void ApplySize(const SizeRecord& record);
  void ApplyBlocks(const BlocksRecord& record);
  void ApplyEnd(uint64_t node);
  void WriteFile(uint64_t node, const FileState& file, const std::function<void(const Record&)>& write) const;
};

}  // namespace pgstrata::layer
