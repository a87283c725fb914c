#include "volume/layer/layer_stack.h"

#include <algorithm>

#include "foundation/base/log.h"

namespace pgstrata::layer {
namespace {

constexpr int kIndexShift = 48;
constexpr uint64_t kPlaceMask = (uint64_t{1} << kIndexShift) - 1;
// Of a limit, what only changes get.
constexpr uint64_t kReservePart = 8;
constexpr uint64_t kMostReserve = 64 << 20;

uint64_t PositionOf(const Layer& layer, uint64_t place) { return uint64_t{layer.index()} << kIndexShift | place; }

}  // namespace

void LayerStack::Push(std::unique_ptr<Layer> layer) {
  const std::scoped_lock lock(mutex_);
  layers_.push_back(std::move(layer));
  top_.store(layers_.back().get(), std::memory_order_release);
}

std::vector<Layer*> LayerStack::layers() const {
  const std::scoped_lock lock(mutex_);
  std::vector<Layer*> all;
  all.reserve(layers_.size());
  for (const auto& layer : layers_) all.push_back(layer.get());
  return all;
}

uint64_t LayerStack::HeldBlocks() const {
  const std::scoped_lock lock(mutex_);
  uint64_t held = 0;
  for (size_t i = own_from_; i < layers_.size(); ++i) held += layers_[i]->data_blocks.value();
  return held;
}

void LayerStack::Limit(uint64_t max_bytes) {
  refusal_reported_ = false;
  if (max_bytes == 0) {
    growth_limit_ = change_limit_ = kUnlimited;
    return;
  }
  const uint64_t reserve = std::min(max_bytes / kReservePart, kMostReserve);
  growth_limit_ = (max_bytes - reserve) / kBlockSize;
  change_limit_ = std::max(max_bytes / kBlockSize, HeldBlocks() + reserve / kBlockSize);
}

bool LayerStack::HasRoom(uint64_t blocks, Purpose purpose) const {
  const uint64_t limit = purpose == Purpose::kGrowth ? growth_limit_ : change_limit_;
  if (limit == kUnlimited) return true;
  const uint64_t held = HeldBlocks();
  if (held + blocks <= limit) return true;
  if (!refusal_reported_.exchange(true)) {
    log::Warning("the volume is full by its own limit: it holds {} bytes, and {} would come to them; that is ENOSPC",
                 held * kBlockSize, blocks * kBlockSize);
  }
  return false;
}

uint64_t LayerStack::Append(Layer& layer, const Record& record) {
  return PositionOf(layer, layer.log()->Append(record));
}

uint64_t LayerStack::end() const {
  const Layer& layer = top();
  return PositionOf(layer, const_cast<Layer&>(layer).log()->end());
}

Status LayerStack::SyncTo(uint64_t position) {
  const size_t index = position >> kIndexShift;
  const std::vector<Layer*> all = layers();
  for (size_t below = 0; below < index; ++below) {
    if (LayerLog* log = all[below]->log(); log != nullptr) PGS_TRY(log->SyncTo(log->end()));
  }
  LayerLog* log = all[index]->log();
  return log != nullptr ? log->SyncTo(position & kPlaceMask) : Status{};
}

bool LayerStack::IsDurable(uint64_t position) const {
  const size_t index = position >> kIndexShift;
  const std::vector<Layer*> all = layers();
  for (size_t below = 0; below < index; ++below) {
    if (const LayerLog* log = all[below]->log(); log != nullptr && log->waiting() != 0) return false;
  }
  const LayerLog* log = all[index]->log();
  return log == nullptr || log->IsDurable(position & kPlaceMask);
}

}  // namespace pgstrata::layer
