// What several layers that stand directly on each other say together, as one layer would say it. No I/O.
#pragma once

#include <cstdint>
#include <map>
#include <unordered_map>

#include "foundation/base/error.h"
#include "volume/layer/layer_state.h"

namespace pgstrata::layer {

// Not safe from several threads.
class MergedState {
 public:
  // Puts what `upper` says above what was added before. kCorrupt where it has blocks of a file and not its length.
  Status Add(const LayerState& upper);

  // By block of a file: how many of its bytes, from its first on, are still to be seen; the others are zeros.
  using Cuts = std::map<uint64_t, uint64_t>;
  // Of a file's data blocks.
  [[nodiscard]] Cuts CutsOf(uint64_t node) const;
  LayerState& state() { return state_; }

 private:
  Status AddFile(uint64_t node, const LayerState::FileState& upper);

  LayerState state_;
  std::unordered_map<uint64_t, Cuts> cuts_;
};

}  // namespace pgstrata::layer
