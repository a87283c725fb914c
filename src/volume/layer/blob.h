// The changed blocks of one file in one layer: which they are, where they lie, and what of them is not in the layer's
// log yet.
//
// The blob of the topmost layer is changed, under the locks of its FileContent. A frozen one never changes again, so
// whoever has a pointer to it reads map, size and base_limit without a lock; what it owes is for one thread at a time.
//
// What a blob *owes* (durable volumes only): blocks that are in the data file and in the map, but may be named by the
// log only after fdatasync. A block is in one of three sets: in neither `owed` nor `syncing`, then the log has it as
// the map does; `owed`; or `syncing`, while fdatasync runs. Who takes a block out of the map takes it out of both.
#pragma once

#include <cstdint>
#include <memory>

#include "volume/layer/below.h"
#include "volume/layer/blob_data.h"
#include "volume/layer/block_map.h"

namespace pgstrata::layer {

class Blob final : public Below {
 public:
  Blob(Layer& its_layer, uint64_t its_node, std::shared_ptr<Below> what_is_below, bool has_data)
      : layer(its_layer), node(its_node), below(std::move(what_is_below)), data(its_layer, its_node, has_data) {}
  ~Blob() override { layer.data_blocks.Subtract(map.data_blocks()); }

  // Reads `out`, which lies in `run`, as it was when the base limit was `limit`. Fewer bytes than out.size() only where
  // the data file is too short.
  vfs::FsResult<size_t> ReadRun(const BlockRun& run, uint64_t limit, uint64_t offset, MutableBytes out);

  // These are for frozen blobs.
  vfs::FsStatus ReadAt(uint64_t offset, MutableBytes out) override;
  uint64_t NextData(uint64_t offset) override;
  [[nodiscard]] uint64_t size() const override { return length; }

  [[nodiscard]] bool Owes() const {
    return unsynced || length > logged_length || owed.data_blocks() != 0 || syncing.data_blocks() != 0;
  }

  Layer& layer;
  const uint64_t node;
  const std::shared_ptr<Below> below;  // null where there is nothing
  BlobData data;

  BlockMap map;             // kBelow from `length` on; kZero only below base_limit
  uint64_t length = 0;      // of the file
  uint64_t base_limit = 0;  // <= length, <= below->size()
  uint64_t cuts = 0;        // how often the data file became shorter

  BlockMap owed;                // as kData
  BlockMap syncing;             // as kData
  uint64_t syncing_length = 0;  // what the log may say after the fdatasync that runs
  uint64_t logged_length = 0;   // what the log says, or what lies below where it says nothing
  bool length_is_logged = false;
  bool unsynced = false;  // the data file was written since the last fdatasync began
  // Bytes of the data file between the length and the end of its block may be other than zero; they may be overwritten
  // when the log is durable up to here.
  bool stale_tail = false;
  uint64_t stale_tail_until = 0;
};

}  // namespace pgstrata::layer
