#include "volume/layer/layer.h"

#include <fmt/core.h>

namespace pgstrata::layer {

Layer::Layer(std::string directory, LayerStorage& storage, OpenFiles& open_files, Counters& counters)
    : directory_(std::move(directory)),
      blobs_(directory_),
      storage_(storage),
      open_files_(open_files),
      counters_(counters),
      index_(0),
      writable_(true) {}

Layer::Layer(std::string directory, LayerStorage& storage, OpenFiles& open_files, Counters& counters, size_t index,
             std::unique_ptr<LayerLog> log, io::FileLock lock)
    : directory_(std::move(directory)),
      blobs_(directory_ + "/blobs"),
      storage_(storage),
      open_files_(open_files),
      counters_(counters),
      index_(index),
      log_(std::move(log)),
      writable_(log_ != nullptr),
      lock_(std::move(lock)) {}

std::string Layer::PathOf(uint64_t node) const { return fmt::format("{}/{:x}", blobs_, node); }

Status Layer::SyncNames(uint64_t creation) {
  const std::scoped_lock lock(names_mutex_);
  if (names_synced_ >= creation) return {};
  const uint64_t covered = created_.load();
  PGS_TRY(storage_.SyncDirectory(blobs_));
  names_synced_ = covered;
  return {};
}

}  // namespace pgstrata::layer
