// What the verification of a backup tells, in whatever form the backup is stored.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace pgstrata::image {

struct Damage {
  std::string backup;             // that holds it: its path, ID or label
  std::string path;               // of the file, as the image shows it; empty: a list of the backup's own
  std::optional<uint64_t> block;  // of 8 KiB, from the start of the file; nothing where all of it is concerned
  std::string problem;
};

struct Verified {
  uint64_t files = 0;
  uint64_t pages = 0;  // where they were looked at one by one
  uint64_t bytes = 0;
  uint64_t damages = 0;
};

}  // namespace pgstrata::image
