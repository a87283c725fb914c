// What a file and a name can be.
#pragma once

#include <cstdint>
#include <string_view>

#include "volume/layer/block_map.h"

namespace pgstrata::layer {

// Where ext4 ends, and with it what a data file can hold.
constexpr uint64_t kMaxFileSize = (uint64_t{1} << 44) - kBlockSize;
constexpr size_t kMaxName = 255;
// A file up to here may grow in the room that is held back for changes: what a server keeps beside the data.
constexpr uint64_t kSmallFile = 1 << 20;

constexpr bool IsFileName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxName && name != "." && name != ".." && name.find('/') == name.npos &&
         name.find('\0') == name.npos;
}

}  // namespace pgstrata::layer
