// What a volume counts of its work.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

namespace pgstrata::layer {

// All since the volume was made or opened, except what says "now".
struct VolumeStatistics {
  uint64_t reads = 0;   // requests
  uint64_t writes = 0;  // requests
  uint64_t bytes_read = 0;
  uint64_t bytes_written = 0;
  uint64_t base_bytes_read = 0;   // read from the image, also for completing blocks that are written in part
  uint64_t layer_bytes_read = 0;  // read from blobs
  uint64_t layer_bytes = 0;       // now in blobs of all layers
  struct LayerSize {
    std::string directory;
    uint64_t bytes = 0;  // now in its blobs
  };
  std::vector<LayerSize> layers;  // the lowest first
  uint64_t files_open = 0;        // of image and layers
  uint64_t memory_bytes = 0;      // for nodes, names, block maps and the log, about
};

// A counter that many threads add to. Each has its own cache line.
class alignas(64) Counter {
 public:
  void Add(uint64_t count) { value_.fetch_add(count, std::memory_order_relaxed); }
  void Subtract(uint64_t count) { value_.fetch_sub(count, std::memory_order_relaxed); }
  [[nodiscard]] uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_ = 0;
};

struct Counters {
  Counter reads;
  Counter writes;
  Counter bytes_read;
  Counter bytes_written;
  Counter base_bytes_read;
  Counter layer_bytes_read;
};

}  // namespace pgstrata::layer
