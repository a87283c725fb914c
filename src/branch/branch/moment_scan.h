// One reading of a cluster's WAL along one history of timelines, from where recovery begins to where a target is met.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "branch/branch/cluster_facts.h"
#include "branch/branch/wal_inventory.h"
#include "foundation/base/error.h"
#include "foundation/base/types.h"
#include "postgres/pgdata/recovery_target.h"
#include "postgres/pgdata/timeline_history.h"
#include "postgres/pgdata/wal_record.h"

namespace pgstrata::branch {

struct ScannedWal {
  // The target is met, and another record follows: replay stops before the record that begins here.
  std::optional<Lsn> stop;
  bool met = false;  // also where no record follows; a time is met by a later one only
  Lsn end;           // where replay ends: at `stop`, else with the WAL
  // Why the WAL ends there although more of this history is at hand; empty where it is simply the end.
  std::string gap;
  Lsn consistent_at;
  // Of the last transaction that ended before it was consistent, or of its checkpoint: no earlier time can be reached.
  std::optional<Timestamp> consistent_time;
  std::optional<Timestamp> last_transaction;  // that ended before `end`
  std::vector<std::string> segments;          // that were read up to there
  std::vector<std::string> warnings;
  std::string tablespace_place;        // where the first tablespace is made outside the data directory; empty: none is
  pgdata::ParameterChange parameters;  // the largest of those on the way
};

// Where the cluster becomes consistent: `written_at` where that is known, else found in the WAL.
Result<Lsn> FindConsistency(const WalInventory& inventory, const ClusterFacts& facts, std::optional<Lsn> written_at);

// Reads on behind the target for a while, to warn of later records that seem to belong before it. A target before
// consistent_at is met there; the reading goes on to consistent_at all the same. Fails where WAL is damaged or of
// another cluster, never because it ends.
Result<ScannedWal> ScanWal(const WalInventory& inventory, const ClusterFacts& facts,
                           const pgdata::TimelineHistory& history, const pgdata::RecoveryTarget& target,
                           Lsn consistent_at);

}  // namespace pgstrata::branch
