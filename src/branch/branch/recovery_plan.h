// How a server gets from the image to a consistent database.
//
// PostgreSQL has two ways. *Crash recovery* (no signal file) replays what lies in pg_wal and keeps the timeline; it
// checks the end of an online backup, but never pg_control's minimum recovery point. *Archive recovery*
// (recovery.signal) checks that too and then begins a new timeline. So everything that comes from a primary recovers
// the first way, and what comes from a standby (trap 37) the second; so does whatever is to stop at a moment (--at),
// because crash recovery goes on to the end. Neither ever fetches WAL by itself: segments that lie elsewhere (--wal, a
// catalog's archive) are shown inside pg_wal, where they are read when recovery comes to them, so no restore_command
// can reach out of the branch. A recovery target is a record that was seen there, or none (6).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backup/image/image.h"
#include "backup/image/wal_archive.h"
#include "branch/branch/cluster_facts.h"
#include "branch/branch/moment.h"
#include "foundation/base/error.h"
#include "foundation/base/types.h"

namespace pgstrata::branch {

enum class RecoveryMode { kNone, kCrash, kArchive };
RecoveryMode RecoveryModeOf(ClusterKind kind);

struct WalFromArchive {
  std::string name;  // as in pg_wal
  const image::WalArchive* archive = nullptr;
  bool whole_segment = false;  // has the cluster's segment size
};

struct RecoveryPlan {
  RecoveryMode mode = RecoveryMode::kNone;
  // Where it becomes consistent, as far as that is written down somewhere; the WAL itself is not read.
  std::optional<Lsn> consistent_at;
  // When the backup ended, in the words of its backup history file, where that is at hand.
  std::string stop_time;
  // Segments from the redo point on that are at hand, in pg_wal or in an archive, without a gap.
  std::vector<std::string> segments;
  // Those of them, and history files, that have to be shown in pg_wal.
  std::vector<WalFromArchive> from_archives;
  // The first segment that is needed and absent; empty when all that is known to be needed is there: then `segments`
  // has the redo point's at least.
  std::string missing_segment;
  // Where it is to stop, where that was asked for. The segments are then those that lead there.
  std::optional<Moment> moment;
};

// `archives` outlive the plan.
Result<RecoveryPlan> PlanRecovery(const image::Image& image, const ClusterFacts& facts,
                                  const std::vector<std::unique_ptr<image::WalArchive>>& archives);
// To the moment `at`; nothing: as above. The errors of FindMoment. `facts` become those of a server that can replay
// there: its capacities (trap 11).
Result<RecoveryPlan> PlanRecovery(const image::Image& image, ClusterFacts& facts,
                                  const std::vector<std::unique_ptr<image::WalArchive>>& archives,
                                  const std::optional<MomentRequest>& at);

// Adds the file `name` of the inventory to plan.from_archives, where it lies in an archive.
void AddFromArchive(const WalInventory& inventory, const std::string& name, RecoveryPlan& plan);

// `image` with the files of plan.from_archives in its pg_wal. Whole segments are not opened for it; what the archive
// holds of a partial segment, and history files, are opened when they are first described. The plan's archives outlive
// it. kInvalidArgument where links of pg_wal lead astray.
Result<std::shared_ptr<const image::Image>> WithWal(std::shared_ptr<const image::Image> image, const RecoveryPlan& plan,
                                                    pgdata::WalSegmentSize segment_size);

// `image` with all segments of a plan to a moment in the directory `directory`, its own ones too.
Result<std::shared_ptr<const image::Image>> WithReplayedWal(std::shared_ptr<const image::Image> image,
                                                            const RecoveryPlan& plan,
                                                            pgdata::WalSegmentSize segment_size,
                                                            const std::string& directory);

// What a server needs to replay the WAL to a moment (trap 11).
void RaiseCapacities(const Moment& moment, ClusterFacts& facts);

// kNotFound, naming the tablespace, when the image lacks one that its tablespace_map lists or that a link leads away
// to.
Status CheckTablespaces(const image::Image& image);

// kMissingWal, naming the segment and what to do, when the plan lacks one.
Status CheckComplete(const RecoveryPlan& plan, const image::Image& image);

// Reads the WAL from the redo point to where the cluster becomes consistent. kMissingWal naming the segment that ends
// it early. Costs the reading of all that WAL: for saying why a recovery failed, and for `info`.
Result<Lsn> FindConsistentPoint(const image::Image& image, const ClusterFacts& facts,
                                const std::vector<std::unique_ptr<image::WalArchive>>& archives);

}  // namespace pgstrata::branch
