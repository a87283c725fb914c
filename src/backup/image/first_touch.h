// What reading an image costs when it is first done, and who is told of it meanwhile.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace pgstrata::image {

// The files without random access that are larger than what is decoded in memory: each is decoded when it is first
// read. A compressed archive is one file, decoded when it is first opened.
struct FirstTouch {
  uint64_t files = 0;
  uint64_t bytes = 0;           // decoded
  uint64_t stored_bytes = 0;    // compressed or encrypted
  uint64_t files_in_cache = 0;  // of these: decoded already
  std::string largest;          // the path of the largest of them
  uint64_t largest_bytes = 0;

  void Add(const FirstTouch& other) {
    files += other.files;
    bytes += other.bytes;
    stored_bytes += other.stored_bytes;
    files_in_cache += other.files_in_cache;
    if (other.largest_bytes <= largest_bytes) return;
    largest = other.largest;
    largest_bytes = other.largest_bytes;
  }
};

// How far the decoding of one content is. `done` is 0 before its first byte.
struct DecodeStep {
  const std::string& name;    // for messages
  uint64_t stored_bytes = 0;  // of all of it
  uint64_t done = 0;          // decoded bytes
};
// False stops it: it is kCancelled then.
using DecodeObserver = std::function<bool(const DecodeStep& step)>;

// Gets the decoded bytes since its last call, from any thread. False stops the decoding with kCancelled.
using DecodeProgress = std::function<bool(uint64_t bytes)>;

}  // namespace pgstrata::image
