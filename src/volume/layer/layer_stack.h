// The layers of an open volume, of which the topmost is written, and the one order of their logs.
//
// A *position* is a place in the logs of the stack: the index of a layer in the upper 16 bits, the place in its log in
// the lower 48. What stands in a higher layer's log may need what stands in a lower one, so a position is durable only
// when everything before it is.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "volume/layer/layer.h"

namespace pgstrata::layer {

// Safe from several threads; Push is not called beside changes of the volume (the gate of Volume sees to that).
class LayerStack {
 public:
  // `durable`: the topmost layer has a log. `own_from`: what Limit bounds is the layers from this index on.
  LayerStack(bool durable, size_t own_from) : durable_(durable), own_from_(own_from) {}

  void Push(std::unique_ptr<Layer> layer);
  [[nodiscard]] Layer& top() const { return *top_.load(std::memory_order_acquire); }
  [[nodiscard]] bool durable() const { return durable_; }
  [[nodiscard]] std::vector<Layer*> layers() const;

  // As Volume::Limit.
  void Limit(uint64_t max_bytes);
  [[nodiscard]] bool limited() const { return growth_limit_.load(std::memory_order_relaxed) != kUnlimited; }
  // What new blocks in the topmost layer are for.
  enum class Purpose {
    kChange,  // of what was there, or of a small file
    kGrowth,
  };
  // Whether `blocks` more may come into the topmost layer. Two that ask at once may both be let in.
  [[nodiscard]] bool HasRoom(uint64_t blocks, Purpose purpose) const;

  // The rest for durable stacks only.
  // Appends to the log of `layer`; returns the position behind the record.
  static uint64_t Append(Layer& layer, const Record& record);
  uint64_t Append(const Record& record) { return Append(top(), record); }
  // Behind everything that was appended.
  [[nodiscard]] uint64_t end() const;
  // Everything before `position` is durable, or an error that was logged once.
  Status SyncTo(uint64_t position);
  [[nodiscard]] bool IsDurable(uint64_t position) const;

 private:
  static constexpr uint64_t kUnlimited = UINT64_MAX;
  [[nodiscard]] uint64_t HeldBlocks() const;

  const bool durable_;
  const size_t own_from_;
  // In blocks:
  std::atomic<uint64_t> growth_limit_ = kUnlimited;
  std::atomic<uint64_t> change_limit_ = kUnlimited;
  mutable std::atomic<bool> refusal_reported_ = false;
  std::atomic<Layer*> top_ = nullptr;
  mutable std::mutex mutex_;
  // Guarded by mutex_; what it points to lives as long as the stack:
  std::vector<std::unique_ptr<Layer>> layers_;
};

}  // namespace pgstrata::layer
