// Where the pages of one file are kept in the copies that a chain has of it.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "catalog/probackup/file_tree.h"
#include "catalog/probackup/page_index.h"
#include "foundation/base/error.h"

namespace pgstrata::probackup {

struct FileIndex {
  struct Layer {
    const StoredCopy* copy = nullptr;
    std::optional<PageIndex> pages;
    std::optional<Error> error;  // why there are no `pages`
    // Blocks from here on were cut off by this backup or a newer one before its pages came to the file.
    uint32_t visible_below = kBlocksOfSegment;
    // The stream is damaged, and where is not known: pages that nothing else proves are not to be trusted.
    bool suspect = false;
  };
  std::vector<Layer> layers;  // the newest first

  [[nodiscard]] uint64_t memory_bytes() const;
};

}  // namespace pgstrata::probackup
