#include "branch/branch/cluster_plan.h"

#include <unistd.h>

namespace pgstrata::branch {

Result<io::UserIdentity> ServerUser(const std::string& wanted) {
  if (::geteuid() != 0) return io::CurrentUser();
  PGS_ASSIGN(auto user, io::FindUser(wanted));
  if (user.uid != 0) return user;
  return std::unexpected(Error(ErrorCode::kUsage, "PostgreSQL does not run as root").WithHint("name another --user"));
}

Result<instance::Installation> FindServerPrograms(int major_version, const std::string& pg_bin) {
  instance::InstallationSearch search;
  if (!pg_bin.empty()) search.pg_bin = pg_bin;
  return instance::FindInstallation(major_version, search);
}

Result<ClusterPlan> PlanCluster(const image::Image& image,
                                const std::vector<std::unique_ptr<image::WalArchive>>& archives,
                                const std::string& pg_bin, const std::string& user,
                                const std::optional<MomentRequest>& at) {
  ClusterPlan plan;
  PGS_ASSIGN(plan.facts, InspectCluster(image));
  PGS_TRY(CheckTablespaces(image));
  PGS_ASSIGN(plan.recovery, PlanRecovery(image, plan.facts, archives, at));
  PGS_TRY(CheckComplete(plan.recovery, image));
  PGS_ASSIGN(plan.installation, FindServerPrograms(plan.facts.major_version, pg_bin));
  PGS_ASSIGN(plan.owner, ServerUser(user));
  return plan;
}

}  // namespace pgstrata::branch
