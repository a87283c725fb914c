#include "branch/branch/recovery_plan.h"

#include <algorithm>

#include "backup/image/overlay_image.h"
#include "branch/branch/cluster_wal.h"
#include "branch/branch/wal_inventory.h"
#include "foundation/base/text.h"
#include "foundation/codec/json.h"
#include "postgres/pgdata/backup_history.h"
#include "postgres/pgdata/backup_manifest.h"
#include "postgres/pgdata/tablespace_map.h"

namespace pgstrata::branch {
namespace {

using Archives = std::vector<std::unique_ptr<image::WalArchive>>;

// A manifest lists every file, 150 bytes for each; its WAL ranges stand behind them, and only they are needed here. To
// parse the whole (pgdata::ParseBackupManifest) takes two seconds for 100 MB; all of `open` is to take some hundredths.
constexpr uint64_t kManifestTail = 16 << 10;

Result<std::string> ReadTail(const image::Image& image, std::string_view path, uint64_t limit) {
  PGS_ASSIGN(const auto file, image.Open(path));
  const uint64_t length = std::min(file->size(), limit);
  std::string tail(length, '\0');
  PGS_TRY(file->ReadAt(file->size() - length, std::as_writable_bytes(std::span(tail))));
  return tail;
}

std::optional<Lsn> LsnMember(const codec::Json& object, const char* name) {
  if (!object.is_object()) return std::nullopt;
  const auto member = object.find(name);
  return member != object.end() && member->is_string() ? Lsn::Parse(member->get<std::string>()) : std::nullopt;
}

// The end of the WAL that the image's backup_manifest says to be needed. Nothing where it belongs to another backup, as
// one does that was left behind when the directory was written anew: its WAL does not begin where this backup does.
std::optional<Lsn> EndFromManifest(const image::Image& image, const ClusterFacts& facts) {
  auto tail = ReadTail(image, pgdata::kBackupManifestPath, kManifestTail);
  if (!tail) return std::nullopt;
  constexpr std::string_view kRanges = "\n\"WAL-Ranges\":";  // a path cannot hold this: its line feeds are escaped
  const size_t ranges = tail->rfind(kRanges);
  if (ranges == std::string::npos) return std::nullopt;
  const auto json = codec::ParseJson('{' + tail->substr(ranges));
  if (!json || !json->at("WAL-Ranges").is_array()) return std::nullopt;
  bool begins_here = false;
  std::optional<Lsn> last_end;
  for (const auto& range : json->at("WAL-Ranges")) {
    const auto start = LsnMember(range, "Start-LSN");
    const auto end = LsnMember(range, "End-LSN");
    if (!start || !end) return std::nullopt;
    begins_here = begins_here || *start == facts.label->start;
    last_end = std::max(last_end, end);
  }
  return begins_here && last_end >= facts.redo ? last_end : std::nullopt;
}

// The backup history file of this very backup, which its start names.
std::optional<pgdata::BackupHistory> FindBackupHistory(const WalInventory& inventory, const ClusterFacts& facts) {
  for (const auto& name : inventory.BackupHistories()) {
    const auto file = inventory.Open(name);
    if (!file) continue;
    std::string text((*file)->size(), '\0');
    if (!(*file)->ReadAt(0, std::as_writable_bytes(std::span(text)))) continue;
    auto history = pgdata::ParseBackupHistory(text);
    if (history && history->label.start == facts.label->start && history->label.label == facts.label->label) {
      return *std::move(history);
    }
  }
  return std::nullopt;
}

void FindWrittenEnd(const image::Image& image, const WalInventory& inventory, const ClusterFacts& facts,
                    RecoveryPlan& plan) {
  if (facts.kind == ClusterKind::kStandby) plan.consistent_at = facts.control.min_recovery_point;
  if (!facts.label) return;
  const auto history = FindBackupHistory(inventory, facts);
  if (history) plan.stop_time = history->stop_time;
  if (facts.kind == ClusterKind::kStandby) return;
  plan.consistent_at = EndFromManifest(image, facts);
  if (!plan.consistent_at && history) plan.consistent_at = history->stop;
}

// Replaying past where it becomes consistent is right for what a cluster brings in its own pg_wal; an archive is drawn
// on only as far as consistency needs, or, where nobody wrote that down, as far as it goes without a gap.
Status CollectSegments(const WalInventory& inventory, const ClusterFacts& facts, RecoveryPlan& plan) {
  const auto segment_size = facts.control.wal_segment_size;
  PGS_ASSIGN(const auto history, inventory.History(facts.timeline));
  const uint64_t first = pgdata::SegmentNumber(facts.redo, segment_size);
  // Replay begins in the first one, wherever it may end.
  const uint64_t last_needed =
      plan.consistent_at ? std::max(first, pgdata::SegmentNumberBefore(*plan.consistent_at, segment_size)) : first;
  for (uint64_t number = first;; ++number) {
    const Lsn start = pgdata::SegmentStart(number, segment_size);
    const TimelineId timeline = history.TimelineAt(std::max(start, number == first ? facts.redo : start));
    const std::string name = pgdata::SegmentName({timeline, number}, segment_size);
    if (!inventory.Has(name)) {
      if (number <= last_needed) plan.missing_segment = name;
      return {};
    }
    const auto& place = inventory.PlaceOf(name);
    if (place.archive != nullptr && plan.consistent_at && number > last_needed) return {};
    plan.segments.push_back(name);
    if (place.archive != nullptr) plan.from_archives.push_back({name, place.archive, !place.partial});
  }
}

Status MissingTablespace(const image::Image& image, const std::string& oid, const std::string& location) {
  return std::unexpected(Error(ErrorCode::kNotFound,
                               "tablespace " + oid + " (\"" + location + "\") is missing from \"" + image.name() + '"')
                             .WithHint("put its directory, or a link to it, at pg_tblspc/" + oid + " of the backup"));
}

void CollectHistories(const WalInventory& inventory, TimelineId newest, RecoveryPlan& plan) {
  const std::string name = pgdata::HistoryName(newest);
  if (inventory.Has(name) && inventory.PlaceOf(name).archive != nullptr) {
    plan.from_archives.push_back({name, inventory.PlaceOf(name).archive});
  }
}

Status AddArchived(image::ImageWithFiles& image, const std::string& path, const WalFromArchive& wal,
                   pgdata::WalSegmentSize segment_size) {
  return image.Add(
      path, [archive = wal.archive, name = wal.name] { return archive->Open(name); },
      wal.whole_segment ? std::optional(segment_size.bytes()) : std::nullopt);
}

}  // namespace

// A stopped cluster needs its last checkpoint record still.
RecoveryMode RecoveryModeOf(ClusterKind kind) {
  if (kind == ClusterKind::kStopped) return RecoveryMode::kNone;
  return kind == ClusterKind::kStandby ? RecoveryMode::kArchive : RecoveryMode::kCrash;
}

Result<RecoveryPlan> PlanRecovery(const image::Image& image, const ClusterFacts& facts, const Archives& archives) {
  RecoveryPlan plan;
  plan.mode = RecoveryModeOf(facts.kind);
  PGS_ASSIGN(const WalInventory inventory, WalInventory::Take(image, archives));
  FindWrittenEnd(image, inventory, facts, plan);
  PGS_TRY(CollectSegments(inventory, facts, plan));
  CollectHistories(inventory, facts.timeline, plan);
  return plan;
}

void AddFromArchive(const WalInventory& inventory, const std::string& name, RecoveryPlan& plan) {
  const auto& place = inventory.PlaceOf(name);
  if (place.archive == nullptr) return;
  plan.from_archives.push_back({name, place.archive, pgdata::LooksLikeSegmentName(name) && !place.partial});
}

Result<RecoveryPlan> PlanRecovery(const image::Image& image, ClusterFacts& facts, const Archives& archives,
                                  const std::optional<MomentRequest>& at) {
  if (!at) return PlanRecovery(image, facts, archives);
  RecoveryPlan plan;
  PGS_ASSIGN(const auto inventory, WalInventory::Take(image, archives, WalPreference::kFarthest));
  FindWrittenEnd(image, inventory, facts, plan);
  PGS_ASSIGN(plan.moment, FindMoment(image, facts, inventory, plan.consistent_at, *at));
  plan.mode = facts.kind == ClusterKind::kCrashed ? RecoveryMode::kCrash : RecoveryMode::kArchive;
  plan.segments = plan.moment->segments;
  for (const auto& name : plan.segments) AddFromArchive(inventory, name, plan);
  // All histories, those of later timelines too: a recovery that ends begins a timeline that none of them is.
  for (const auto& name : inventory.Histories()) AddFromArchive(inventory, name, plan);
  RaiseCapacities(*plan.moment, facts);
  return plan;
}

Result<std::shared_ptr<const image::Image>> WithWal(std::shared_ptr<const image::Image> image, const RecoveryPlan& plan,
                                                    pgdata::WalSegmentSize segment_size) {
  if (plan.from_archives.empty()) return image;
  auto combined = std::make_shared<image::ImageWithFiles>(std::move(image));
  for (const auto& wal : plan.from_archives) {
    PGS_TRY(AddArchived(*combined, JoinPath("pg_wal", wal.name), wal, segment_size));
  }
  return combined;
}

Result<std::shared_ptr<const image::Image>> WithReplayedWal(std::shared_ptr<const image::Image> image,
                                                            const RecoveryPlan& plan,
                                                            pgdata::WalSegmentSize segment_size,
                                                            const std::string& directory) {
  auto combined = std::make_shared<image::ImageWithFiles>(image);
  for (const auto& name : plan.segments) {
    const auto archived = std::ranges::find(plan.from_archives, name, &WalFromArchive::name);
    const std::string path = JoinPath(directory, name);
    if (archived == plan.from_archives.end()) {
      PGS_TRY(combined->Add(path, [image, name] { return image->Open(JoinPath("pg_wal", name)); }));
    } else {
      PGS_TRY(AddArchived(*combined, path, *archived, segment_size));
    }
  }
  return combined;
}

void RaiseCapacities(const Moment& moment, ClusterFacts& facts) {
  const auto raise = [](uint32_t& to, uint32_t value) { to = std::max(to, value); };
  auto& control = facts.control;
  raise(control.max_connections, moment.parameters.max_connections);
  raise(control.max_worker_processes, moment.parameters.max_worker_processes);
  raise(control.max_wal_senders, moment.parameters.max_wal_senders);
  raise(control.max_prepared_transactions, moment.parameters.max_prepared_transactions);
  raise(control.max_locks_per_transaction, moment.parameters.max_locks_per_transaction);
}

Status CheckTablespaces(const image::Image& image) {
  PGS_ASSIGN(const auto missing, image.MissingTablespaces());
  if (!missing.empty()) return MissingTablespace(image, missing.front().oid, missing.front().location);
  const auto text = image::ReadSmallFile(image, pgdata::kTablespaceMapPath);
  if (!text) return {};
  PGS_ASSIGN(const auto mappings, pgdata::ParseTablespaceMap(*text));
  for (const auto& mapping : mappings) {
    const std::string oid = std::to_string(mapping.oid.value);
    if (!image.Stat("pg_tblspc/" + oid)) return MissingTablespace(image, oid, mapping.path);
  }
  return {};
}

Status CheckComplete(const RecoveryPlan& plan, const image::Image& image) {
  if (plan.missing_segment.empty()) return {};
  return std::unexpected(Error(ErrorCode::kMissingWal, "WAL segment \"" + plan.missing_segment +
                                                           "\" is missing: without it \"" + image.name() +
                                                           "\" cannot become consistent")
                             .WithHint("name the directory that holds it (a WAL archive) with --wal DIR"));
}

Result<Lsn> FindConsistentPoint(const image::Image& image, const ClusterFacts& facts, const Archives& archives) {
  PGS_ASSIGN(const auto wal, ClusterWal::Open(image, facts, archives));
  pgdata::WalReader& reader = wal->reader();
  if (facts.kind == ClusterKind::kOnlineBackup) return pgdata::FindBackupEnd(reader, facts.redo, facts.label->start);
  PGS_TRY(reader.Seek(facts.redo));
  while (reader.position() < facts.control.min_recovery_point) {
    PGS_ASSIGN(const auto record, reader.Next());
    if (!record) {
      const auto& size = facts.control.wal_segment_size;
      const pgdata::WalSegment segment{reader.history().TimelineAt(reader.position()),
                                       pgdata::SegmentNumber(reader.position(), size)};
      return Fail(ErrorCode::kMissingWal, "WAL ends in segment \"" + pgdata::SegmentName(segment, size) + "\" at " +
                                              reader.position().ToString() + ", before the minimum recovery point " +
                                              facts.control.min_recovery_point.ToString());
    }
  }
  return std::max(facts.control.min_recovery_point, facts.redo);
}

}  // namespace pgstrata::branch
