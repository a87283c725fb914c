// The backups of a pg_probackup catalog.
#include <algorithm>
#include <map>
#include <utility>

#include "backup/image/wal_directory.h"
#include "backup/source/probackup_source.h"
#include "backup/source/snapshot_kinds.h"
#include "catalog/probackup/backup_directory.h"
#include "catalog/probackup/catalog.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "postgres/pgdata/wal_name.h"

namespace pgstrata::source {
namespace {

using probackup::ListedInstance;

constexpr const char* kInstanceConfiguration = "pg_probackup.conf";

// "xlog-seg-size = 16777216", or with a unit.
pgdata::WalSegmentSize SegmentSizeOf(const ListedInstance& instance) {
  const auto text = io::ReadWholeFile(JoinPath(instance.directory, kInstanceConfiguration), 1 << 20);
  if (!text) return {};
  for (const auto line : SplitLines(*text)) {
    const size_t equals = line.find('=');
    if (equals == std::string_view::npos || TrimWhitespace(line.substr(0, equals)) != "xlog-seg-size") continue;
    const auto value = TrimWhitespace(line.substr(equals + 1));
    const size_t digits = std::min(value.find_first_not_of("0123456789"), value.size());
    const auto unit = TrimWhitespace(value.substr(digits));
    const uint64_t factor = unit == "MB" ? 1 << 20 : unit == "GB" ? 1 << 30 : unit == "kB" ? 1 << 10 : 1;
    return pgdata::WalSegmentSize::FromBytes(ParseDecimal(value.substr(0, digits)).value_or(0) * factor)
        .value_or(pgdata::WalSegmentSize());
  }
  return {};
}

// What an instance's archive lacks for its ARCHIVE backups.
class InstanceWal {
 public:
  explicit InstanceWal(const ListedInstance& instance) : instance_(instance), size_(SegmentSizeOf(instance)) {
    const auto archive = image::OpenWalDirectory(instance.wal_directory);
    const auto files = archive ? (*archive)->List() : Result<std::vector<image::WalFile>>();
    if (files) segments_ = ArchivedSegments(*files);
  }

  [[nodiscard]] std::optional<Error> ProblemOf(const probackup::BackupControl& control) const {
    if (control.stream || !control.start.valid() || !control.stop.valid()) return std::nullopt;
    const uint64_t last = pgdata::SegmentNumberBefore(control.stop, size_);
    for (uint64_t number = pgdata::SegmentNumber(control.start, size_); number <= last; ++number) {
      if (HasOnAnyTimeline(number, control.timeline)) continue;
      return MissingWalError(pgdata::SegmentName({control.timeline, number}, size_), instance_.wal_directory);
    }
    return std::nullopt;
  }

 private:
  // The first segments may be those of the timeline that the cluster came from.
  [[nodiscard]] bool HasOnAnyTimeline(uint64_t number, TimelineId newest) const {
    constexpr uint32_t kMostTimelines = 1000;
    for (uint32_t i = 0; i < std::min(newest.value, kMostTimelines); ++i) {
      if (segments_.Has(pgdata::SegmentName({{newest.value - i}, number}, size_))) return true;
    }
    return false;
  }

  const ListedInstance& instance_;
  const pgdata::WalSegmentSize size_;
  ArchivedSegments segments_{{}};
};

// Of backups that their control files call usable: whether their file lists are there.
std::map<std::string, Error> DamagedLists(const ListedInstance& instance) {
  std::map<std::string, Error> damaged;
  for (const auto& listed : instance.backups) {
    if (!listed.control || listed.problem) continue;
    const auto backup = probackup::BackupDirectory::Open(listed.directory);
    if (!backup) {
      damaged.emplace(listed.id, backup.error());
    } else if (const auto list = (*backup)->ReadContentList(); !list) {
      damaged.emplace(listed.id, list.error());
    }
  }
  return damaged;
}

std::optional<Error> ProblemOf(const probackup::ListedBackup& backup, const std::map<std::string, Error>& damaged,
                               const InstanceWal& wal) {
  if (backup.problem) return backup.problem;
  if (const auto own = damaged.find(backup.id); own != damaged.end()) return own->second;
  for (const auto& parent : backup.chain) {
    if (!damaged.contains(parent)) continue;
    return Error(ErrorCode::kCorrupt, "backup " + parent + ", on which it stands, cannot be used");
  }
  return wal.ProblemOf(*backup.control);
}

ListedSnapshot Snapshot(const probackup::ListedBackup& backup, const std::string& prefix) {
  ListedSnapshot snapshot{.name = backup.id, .source = JoinPath(prefix, SplitLast(backup.directory).second)};
  if (!backup.control) {
    snapshot.status = "unreadable";
    return snapshot;
  }
  const auto& control = *backup.control;
  snapshot.kind = probackup::BackupModeName(control.mode);
  snapshot.status = control.status;
  snapshot.parent = control.parent;
  snapshot.start_time = control.start_time;
  snapshot.end_time = control.end_time;
  if (control.start.valid()) snapshot.start_lsn = control.start.ToString();
  if (control.stop.valid()) snapshot.stop_lsn = control.stop.ToString();
  snapshot.timeline = control.timeline.value;
  snapshot.version = control.server_version;
  snapshot.bytes = control.pgdata_bytes;
  if (control.data_bytes) snapshot.stored_bytes = *control.data_bytes + control.wal_bytes.value_or(0);
  snapshot.note = control.note;
  return snapshot;
}

SnapshotGroup Group(const ListedInstance& instance, const std::string& catalog) {
  SnapshotGroup group{.name = instance.name, .location = instance.directory, .problem = {}, .snapshots = {}};
  const InstanceWal wal(instance);
  const auto damaged = DamagedLists(instance);
  for (const auto& backup : instance.backups) {
    auto snapshot = Snapshot(backup, "pg_probackup:" + JoinPath(catalog, instance.name));
    snapshot.problem = ProblemOf(backup, damaged, wal);
    group.snapshots.push_back(std::move(snapshot));
  }
  OrderByChain(group.snapshots);
  return group;
}

}  // namespace

Result<SnapshotList> ListProbackupSnapshots(const std::string& rest, const SourceRequest&) {
  std::string catalog = rest;
  std::string instance;
  if (auto part = FindProbackupCatalog(rest)) {
    catalog = std::move(part->catalog);
    instance = std::move(part->instance);
  }
  PGS_ASSIGN(const auto instances, probackup::ListCatalog(catalog));
  SnapshotList list{.kind = "pg_probackup", .location = {}, .groups = {}};
  PGS_ASSIGN(list.location, io::ResolvePath(catalog));
  for (const auto& listed : instances) {
    if (instance.empty() || listed.name == instance) list.groups.push_back(Group(listed, list.location));
  }
  if (!instance.empty() && list.groups.empty()) {
    return Fail(ErrorCode::kNotFound,
                "the pg_probackup catalog " + Quoted(catalog) + " has no instance " + Quoted(instance));
  }
  return list;
}

}  // namespace pgstrata::source
