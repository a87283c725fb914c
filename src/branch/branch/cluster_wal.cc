#include "branch/branch/cluster_wal.h"

#include <utility>

namespace pgstrata::branch {

pgdata::WalReaderOptions WalOptionsOf(const ClusterFacts& facts) {
  return {.major_version = facts.major_version,
          .segment_size = facts.control.wal_segment_size,
          .system_identifier = facts.control.system_identifier};
}

ClusterWal::ClusterWal(WalInventory inventory, pgdata::TimelineHistory history, const pgdata::WalReaderOptions& options)
    : inventory_(std::move(inventory)),
      source_(inventory_, options.segment_size),
      reader_(source_, std::move(history), options) {}

Result<std::unique_ptr<ClusterWal>> ClusterWal::Open(const image::Image& image, const ClusterFacts& facts,
                                                     const std::vector<std::unique_ptr<image::WalArchive>>& archives) {
  PGS_ASSIGN(WalInventory inventory, WalInventory::Take(image, archives));
  PGS_ASSIGN(auto history, inventory.History(facts.timeline));
  return std::unique_ptr<ClusterWal>(new ClusterWal(std::move(inventory), std::move(history), WalOptionsOf(facts)));
}

}  // namespace pgstrata::branch
