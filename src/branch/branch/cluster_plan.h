// What has to be known and possible before a cluster is started, and what is refused: for `open` and for kept branches.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backup/image/image.h"
#include "backup/image/wal_archive.h"
#include "branch/branch/cluster_facts.h"
#include "branch/branch/recovery_plan.h"
#include "foundation/base/error.h"
#include "foundation/io/process.h"
#include "postgres/instance/installation.h"

namespace pgstrata::branch {

struct ClusterPlan {
  ClusterFacts facts;
  RecoveryPlan recovery;
  instance::Installation installation;
  io::UserIdentity owner;  // whom the server runs as
};

// `pg_bin`: empty searches; `user`: only as root, whom the server runs as. Whatever could not become consistent here is
// an error that says why; `at` as for PlanRecovery. `archives` outlive the plan.
Result<ClusterPlan> PlanCluster(const image::Image& image,
                                const std::vector<std::unique_ptr<image::WalArchive>>& archives,
                                const std::string& pg_bin, const std::string& user,
                                const std::optional<MomentRequest>& at = std::nullopt);

Result<instance::Installation> FindServerPrograms(int major_version, const std::string& pg_bin);
// As root: `wanted`, which is not root; else who we are.
Result<io::UserIdentity> ServerUser(const std::string& wanted);

}  // namespace pgstrata::branch
