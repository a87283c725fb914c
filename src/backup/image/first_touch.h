// What reading an image costs when it is first done.
#pragma once

#include <cstdint>
#include <string>

namespace pgstrata::image {

// The files without random access that are larger than what is decoded in memory: each is decoded when it is first
// read.
struct FirstTouch {
  uint64_t files = 0;
  uint64_t bytes = 0;           // decoded
  uint64_t stored_bytes = 0;    // compressed or encrypted
  uint64_t files_in_cache = 0;  // of these: decoded already
  std::string largest;          // the path of the largest of them
  uint64_t largest_bytes = 0;
};

}  // namespace pgstrata::image
