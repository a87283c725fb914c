#include "catalog/probackup/file_index.h"

namespace pgstrata::probackup {

uint64_t FileIndex::memory_bytes() const {
  uint64_t bytes = sizeof *this + layers.capacity() * sizeof(Layer);
  for (const Layer& layer : layers) {
    if (layer.pages) bytes += layer.pages->memory_bytes();
  }
  return bytes;
}

}  // namespace pgstrata::probackup
