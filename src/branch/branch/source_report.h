// What `info` tells of a source.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backup/image/image.h"
#include "backup/image/wal_archive.h"
#include "branch/branch/cluster_facts.h"
#include "branch/branch/recovery_plan.h"
#include "foundation/base/error.h"

namespace pgstrata::branch {

struct TablespaceReport {
  std::string oid;
  std::string location;  // on the machine that was backed up, where the backup says it; empty otherwise
  uint64_t bytes = 0;
};

struct SourceReport {
  ClusterFacts facts;
  RecoveryPlan recovery;
  std::optional<Lsn> consistent_at;  // where the backup ends: from its manifest or history file, else read from the WAL
  std::vector<TablespaceReport> tablespaces;
  uint64_t files = 0;
  uint64_t bytes = 0;
  // Why it cannot be opened here; nothing when it can.
  std::optional<Error> obstacle;
};

// Lists the whole image for its sizes. Fails only where it is not a cluster at all, or is too damaged to say anything;
// what merely stops it from being opened, or from being opened at `at`, is the report's obstacle. `pg_bin` as for
// FindInstallation.
Result<SourceReport> ReportSource(const image::Image& image,
                                  const std::vector<std::unique_ptr<image::WalArchive>>& archives,
                                  const std::string& pg_bin, const std::optional<MomentRequest>& at = std::nullopt);

}  // namespace pgstrata::branch
