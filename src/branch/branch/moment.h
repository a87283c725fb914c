// A moment of a cluster: a timeline and the place in its WAL where recovery is to stop, found from what a user asked
// for by reading the WAL that recovery would replay (docs/moments.md).
//
// PostgreSQL's own recovery targets fail where the archive ends before the target, do not say why, and follow other
// histories than the one that was meant. So a target is looked up first, and the server is told the LSN of a record
// that is there, or nothing where all is to be replayed.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backup/image/image.h"
#include "backup/image/wal_archive.h"
#include "branch/branch/cluster_facts.h"
#include "branch/branch/wal_inventory.h"
#include "foundation/base/error.h"
#include "foundation/base/types.h"
#include "postgres/pgdata/wal_record.h"

namespace pgstrata::branch {

struct MomentRequest {
  std::string at;                      // as for pgdata::ParseRecoveryTarget
  Timestamp now;                       // what relative times count from
  std::optional<TimelineId> timeline;  // nothing: the newest that grew from the backup's
};

struct Moment {
  TimelineId timeline;
  // Recovery stops before the record that begins here, which is there. Nothing: it replays all there is.
  std::optional<Lsn> stop;
  Lsn end;                                    // where replay ends
  std::optional<Timestamp> last_transaction;  // of what is replayed
  std::vector<std::string> segments;          // that replay reads, in their order
  std::vector<std::string> warnings;          // why the user may have meant another moment
  std::string description;                    // "2026-11-20 23:03:47+00 (timeline 1, 0/1100480)"
  std::string tablespace_place;               // where replay makes a tablespace outside the data directory, or empty
  pgdata::ParameterChange parameters;         // the largest that the WAL was written under; 0: as before
};

// The time zone that the cluster's configuration names; empty where it names none: this machine's.
std::string ClusterZone(const image::Image& image);

// Reads all WAL from the redo point to the moment, and a little further. The time zone of a time without one is that of
// the cluster's configuration. `consistent_at` as in RecoveryPlan.
// kUsage: what is asked for is no moment. kInvalidArgument: it is before the end of the backup (the earliest moment is
// named), or no timeline of the backup. kNotFound: no such transaction or restore point. kMissingWal, naming the
// segment: WAL on the way to it is absent. kUnsupported: a copy of a crashed cluster has its own end only.
Result<Moment> FindMoment(const image::Image& image, const ClusterFacts& facts, const WalInventory& inventory,
                          std::optional<Lsn> consistent_at, const MomentRequest& request);

}  // namespace pgstrata::branch
