// Whether the WAL that a backup needs is there and whole.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backup/image/image.h"
#include "backup/image/wal_archive.h"
#include "branch/branch/cluster_facts.h"
#include "branch/branch/recovery_plan.h"
#include "foundation/base/error.h"
#include "foundation/base/types.h"

namespace pgstrata::job {

struct VerifiedWal {
  Lsn from;                 // where recovery begins
  std::optional<Lsn> to;    // where it becomes consistent, as far as that is known
  uint64_t segments = 0;    // looked at
  bool is_missing = false;  // a segment is
};

// Reads every record from where recovery begins to where the cluster becomes consistent, with its checksum; and every
// segment of that which comes from an archive as a whole, which has checksums of its own. Damage is told to `tell`:
// "pg_wal/NAME" and what is wrong.
VerifiedWal VerifyWal(const image::Image& image, const branch::ClusterFacts& facts, const branch::RecoveryPlan& plan,
                      const std::vector<std::unique_ptr<image::WalArchive>>& archives,
                      const std::function<void(const std::string& path, const std::string& problem)>& tell);

}  // namespace pgstrata::job
