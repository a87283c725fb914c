#include "branch/branch/source_report.h"

#include "postgres/instance/installation.h"
#include "postgres/pgdata/tablespace_map.h"
#include "volume/fuse/availability.h"

namespace pgstrata::branch {
namespace {

constexpr std::string_view kTablespaces = "pg_tblspc/";

// "16384" of "pg_tblspc/16384/PG_15_202209061/5/16385"; empty elsewhere.
std::string TablespaceOf(std::string_view path) {
  if (!path.starts_with(kTablespaces)) return {};
  path.remove_prefix(kTablespaces.size());
  return std::string(path.substr(0, path.find('/')));
}

std::map<std::string, std::string> Locations(const image::Image& image) {
  std::map<std::string, std::string> locations;
  const auto text = image::ReadSmallFile(image, pgdata::kTablespaceMapPath);
  if (!text) return locations;
  const auto mappings = pgdata::ParseTablespaceMap(*text);
  if (!mappings) return locations;
  for (const auto& mapping : *mappings) locations[std::to_string(mapping.oid.value)] = mapping.path;
  return locations;
}

Status Measure(const image::Image& image, SourceReport& report) {
  std::map<std::string, uint64_t> sizes;
  PGS_TRY(image::Walk(image, "", [&](const std::string& path, const image::Entry& entry) -> Status {
    const std::string tablespace = TablespaceOf(path);
    if (!tablespace.empty()) sizes.try_emplace(tablespace, 0);
    if (entry.kind != image::EntryKind::kFile) return {};
    ++report.files;
    report.bytes += entry.size;
    if (!tablespace.empty()) sizes[tablespace] += entry.size;
    return {};
  }));
  const auto locations = Locations(image);
  for (const auto& [oid, bytes] : sizes) {
    const auto location = locations.find(oid);
    report.tablespaces.push_back(
        {.oid = oid, .location = location == locations.end() ? "" : location->second, .bytes = bytes});
  }
  return {};
}

Status LookForObstacle(const image::Image& image, const SourceReport& report, const std::string& pg_bin) {
  PGS_TRY(CheckTablespaces(image));
  PGS_TRY(CheckComplete(report.recovery, image));
  instance::InstallationSearch search;
  if (!pg_bin.empty()) search.pg_bin = pg_bin;
  PGS_TRY(instance::FindInstallation(report.facts.major_version, search));
  const fuse::Availability fuse = fuse::CheckFuse();
  if (!fuse.usable) return std::unexpected(Error(ErrorCode::kUnavailable, fuse.problem).WithHint(fuse.hint));
  return {};
}

}  // namespace

Result<SourceReport> ReportSource(const image::Image& image,
                                  const std::vector<std::unique_ptr<image::WalArchive>>& archives,
                                  const std::string& pg_bin, const std::optional<MomentRequest>& at) {
  SourceReport report;
  PGS_ASSIGN(report.facts, InspectCluster(image));
  PGS_ASSIGN(report.recovery, PlanRecovery(image, report.facts, archives));
  PGS_TRY(Measure(image, report));
  report.consistent_at = report.recovery.consistent_at;
  if (const auto status = LookForObstacle(image, report, pg_bin); !status) report.obstacle = status.error();
  if (!report.consistent_at && report.facts.kind == ClusterKind::kOnlineBackup && !report.obstacle) {
    const auto found = FindConsistentPoint(image, report.facts, archives);
    if (found) {
      report.consistent_at = *found;
    } else {
      report.obstacle = found.error();
    }
  }
  if (at && !report.obstacle) {
    auto to_moment = PlanRecovery(image, report.facts, archives, at);
    if (!to_moment) {
      report.obstacle = std::move(to_moment).error();
    } else {
      to_moment->stop_time = report.recovery.stop_time;
      report.recovery = *std::move(to_moment);
    }
  }
  return report;
}

}  // namespace pgstrata::branch
