// What an image says about itself: enough to decide how it is started, and what `info` prints.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "backup/image/image.h"
#include "foundation/base/error.h"
#include "foundation/base/types.h"
#include "postgres/pgdata/backup_label.h"
#include "postgres/pgdata/control_file.h"

namespace pgstrata::branch {

enum class ClusterKind {
  kOnlineBackup,  // has a backup_label: recovery starts at it (trap 1), never at pg_control's checkpoint
  kStopped,       // shut down cleanly: no recovery
  kCrashed,       // a copy of a running or crashed primary: crash recovery
  kStandby,       // a standby, stopped or not: consistent from pg_control's minimum recovery point on
};
// "online backup", "cleanly stopped data directory", ...
std::string_view ClusterKindName(ClusterKind kind);

struct ClusterFacts {
  ClusterKind kind = ClusterKind::kStopped;
  int major_version = 0;
  pgdata::ControlFile control;
  std::optional<pgdata::BackupLabel> label;
  // Where replay has to begin, and on which timeline.
  Lsn redo;
  TimelineId timeline;
};

// What it is and of when: "online backup of 2026-11-20 21:05:39 UTC".
std::string DescribeCluster(const ClusterFacts& facts);

// Reads PG_VERSION, pg_control and backup_label. kInvalidArgument where the image is not a cluster, kCorrupt where one
// of them is damaged, kUnsupported for a version, architecture or format that is not opened (an incremental backup
// without its chain).
Result<ClusterFacts> InspectCluster(const image::Image& image);
// Likewise of what `read` reads (kNotFound where a file is missing) and the user knows as `name`.
using ClusterFileReader = std::function<Result<std::string>(std::string_view path)>;
Result<ClusterFacts> InspectCluster(std::string_view name, const ClusterFileReader& read);

}  // namespace pgstrata::branch
