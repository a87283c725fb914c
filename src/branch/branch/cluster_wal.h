// The WAL that a cluster's recovery would replay, record by record, from wherever it lies.
#pragma once

#include <memory>
#include <vector>

#include "backup/image/image.h"
#include "backup/image/wal_archive.h"
#include "branch/branch/cluster_facts.h"
#include "branch/branch/wal_inventory.h"
#include "foundation/base/error.h"
#include "postgres/pgdata/wal_reader.h"

namespace pgstrata::branch {

// What a reader accepts of it: WAL of that cluster only.
pgdata::WalReaderOptions WalOptionsOf(const ClusterFacts& facts);

// For one thread. `image` and `archives` outlive it.
class ClusterWal {
 public:
  // Follows the history of facts.timeline and accepts WAL of that cluster only. Reads no segment yet.
  static Result<std::unique_ptr<ClusterWal>> Open(const image::Image& image, const ClusterFacts& facts,
                                                  const std::vector<std::unique_ptr<image::WalArchive>>& archives);
  ClusterWal(const ClusterWal&) = delete;
  ClusterWal& operator=(const ClusterWal&) = delete;

  [[nodiscard]] pgdata::WalReader& reader() { return reader_; }

 private:
  ClusterWal(WalInventory inventory, pgdata::TimelineHistory history, const pgdata::WalReaderOptions& options);

  const WalInventory inventory_;
  InventoryWalSource source_;
  pgdata::WalReader reader_;
};

}  // namespace pgstrata::branch
