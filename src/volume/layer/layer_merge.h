// Several layers of a stack become one: docs/format/layer.md, "Merging". Paths are native paths.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backup/image/image.h"
#include "foundation/base/error.h"
#include "volume/layer/layer_storage.h"

namespace pgstrata::layer {

struct MergeOptions {
  std::vector<std::string> below;  // the layers of the stack below those that are merged, the lowest first
  std::vector<std::string> run;    // what is merged: at least one, the lowest first, all sealed
  std::string directory;           // of the new layer: made if it is missing, empty if it is there
  // The image below the stack, as it was when the layers were written; null where it is not at hand: then names that
  // came and went stay in the log.
  std::shared_ptr<const image::Image> image;
  // Called now and then; what it returns as an error ends the merge.
  std::function<Status(uint64_t bytes_copied, uint64_t bytes_to_copy)> progress;
};

struct MergeReport {
  uint64_t bytes_before = 0;  // in data blocks of the run
  uint64_t bytes_after = 0;   // in those of the new layer
  uint64_t bytes_copied = 0;
  uint64_t files_linked = 0;  // they are shared with the layer they come from, as long as that is there
};

// A new, sealed layer in `directory`, durable when this returns, in whose place in a stack everything reads as with the
// run. The run is only read and stays as it is; who lists the layers of the stack lists the new one instead, and
// removes what nobody needs any more. After an error `directory` holds what was made by then: the caller removes it.
// kInvalidArgument for a layer that is not sealed, kCorrupt for a damaged one, kAlreadyExists where something is in
// `directory`, kNotFound where a layer was removed meanwhile. Memory: that of a volume over the stack, and the maps of
// the run once more.
Result<MergeReport> MergeLayers(const MergeOptions& options, LayerStorage& storage = NativeStorage());

}  // namespace pgstrata::layer
