// The WAL that a branch begins with, copied to its own pg_wal on the native file system.
//
// Copied is what replay can need, and no more: from the redo point on, without the segments that a server has only
// prepared for later (their first page belongs elsewhere). A cleanly stopped cluster needs its checkpoint record alone:
// of its one segment the first page and those around the record are copied, the rest are holes. Segments are never
// linked: a server writes into those that it has.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backup/image/image.h"
#include "branch/branch/cluster_facts.h"
#include "branch/branch/recovery_plan.h"
#include "branch/branch/wal_inventory.h"
#include "foundation/base/error.h"
#include "foundation/io/process.h"
#include "foundation/io/sync_batch.h"

namespace pgstrata::branch {

struct WalToCopy {
  bool only_checkpoint = false;  // cleanly stopped
  Lsn redo;
  pgdata::WalSegmentSize segment_size;
  std::vector<std::string> segments;   // from the redo point's on
  std::vector<std::string> histories;  // of timelines
  std::function<Result<std::unique_ptr<image::ImageFile>>(const std::string& name)> open;
};

// What a cluster with `facts` needs of `inventory`, which outlives the answer.
WalToCopy WalOfSource(const ClusterFacts& facts, const RecoveryPlan& plan, const WalInventory& inventory);
// What it needs of the pg_wal at the native path `directory`. kMissingWal where the redo point's segment is not there.
Result<WalToCopy> WalOfDirectory(const ClusterFacts& facts, const std::string& directory);

// Makes `directory` and fills it; durable with `syncs`. It and the files belong to `owner`.
Status CopyWal(const WalToCopy& wal, const std::string& directory, const io::UserIdentity& owner, io::SyncBatch& syncs);
// Copies a directory that CopyWal filled; holes stay holes.
Status CopyWalDirectory(const std::string& from, const std::string& to, const io::UserIdentity& owner,
                        io::SyncBatch& syncs);

}  // namespace pgstrata::branch
