#include "branch/branch/cluster_facts.h"

#include "postgres/pgdata/pg_version.h"

namespace pgstrata::branch {
namespace {

using pgdata::ClusterState;

// What is inspected, in the user's words, and how it is read.
struct Inspected {
  std::string name;
  const ClusterFileReader& read;
};

std::string InSource(const Inspected& source, std::string_view path) {
  return '"' + std::string(path) + "\" of \"" + source.name + '"';
}

Result<std::string> ReadRequired(const Inspected& source, std::string_view path) {
  auto text = source.read(path);
  if (text || text.error().code() != ErrorCode::kNotFound) return text;
  return std::unexpected(
      Error(ErrorCode::kInvalidArgument,
            '"' + source.name + "\" is not a PostgreSQL backup: it has no \"" + std::string(path) + '"')
          .WithHint("name the directory that holds PG_VERSION and global/pg_control"));
}

Result<std::optional<pgdata::BackupLabel>> ReadLabel(const Inspected& source) {
  const auto text = source.read(pgdata::kBackupLabelPath);
  if (!text) {
    if (text.error().code() == ErrorCode::kNotFound) return std::nullopt;
    return std::unexpected(text.error());
  }
  auto label = pgdata::ParseBackupLabel(*text);
  if (!label) return std::unexpected(std::move(label).error().Wrap(InSource(source, pgdata::kBackupLabelPath)));
  if (label->incremental_base) {
    return std::unexpected(
        Error(ErrorCode::kUnsupported, '"' + source.name + "\" is an incremental backup: alone it is not a database")
            .WithHint("combine it with its chain by pg_combinebackup, and open the result"));
  }
  return std::move(*label);
}

ClusterKind KindOf(const pgdata::ControlFile& control, const std::optional<pgdata::BackupLabel>& label) {
  if (label) return label->from_standby ? ClusterKind::kStandby : ClusterKind::kOnlineBackup;
  switch (control.state) {
    case ClusterState::kShutDown:
      return ClusterKind::kStopped;
    case ClusterState::kShutDownInRecovery:
    case ClusterState::kInArchiveRecovery:
      return ClusterKind::kStandby;
    default:
      return ClusterKind::kCrashed;
  }
}

}  // namespace

std::string_view ClusterKindName(ClusterKind kind) {
  switch (kind) {
    case ClusterKind::kOnlineBackup:
      return "online backup";
    case ClusterKind::kStopped:
      return "cleanly stopped data directory";
    case ClusterKind::kCrashed:
      return "copy of a crashed data directory";
    case ClusterKind::kStandby:
      return "backup of a standby";
  }
  return "unknown";
}

std::string DescribeCluster(const ClusterFacts& facts) {
  return std::string(ClusterKindName(facts.kind)) + " of " +
         (facts.label ? facts.label->start_time : facts.control.time.ToString());
}

Result<ClusterFacts> InspectCluster(const image::Image& image) {
  return InspectCluster(image.name(), [&](std::string_view path) { return image::ReadSmallFile(image, path); });
}

Result<ClusterFacts> InspectCluster(std::string_view name, const ClusterFileReader& read) {
  const Inspected source{.name = std::string(name), .read = read};
  ClusterFacts facts;
  PGS_ASSIGN(const std::string version, ReadRequired(source, "PG_VERSION"));
  auto major_version = pgdata::ParsePgVersion(version);
  if (!major_version) return std::unexpected(std::move(major_version).error().Wrap(InSource(source, "PG_VERSION")));
  facts.major_version = *major_version;
  PGS_ASSIGN(const std::string control, ReadRequired(source, pgdata::kControlFilePath));
  auto parsed = pgdata::ParseControlFile(AsBytes(control));
  if (!parsed) return std::unexpected(std::move(parsed).error().Wrap(InSource(source, pgdata::kControlFilePath)));
  facts.control = *std::move(parsed);
  PGS_TRY(facts.control.CheckAgainst(facts.major_version));
  PGS_ASSIGN(facts.label, ReadLabel(source));
  facts.kind = KindOf(facts.control, facts.label);
  facts.redo = facts.label ? facts.label->start : facts.control.checkpoint.redo;
  facts.timeline = std::max(facts.control.checkpoint.timeline, facts.control.min_recovery_point_timeline);
  return facts;
}

}  // namespace pgstrata::branch
