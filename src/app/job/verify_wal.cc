#include "app/job/verify_wal.h"

#include <algorithm>
#include <utility>

#include "branch/branch/cluster_wal.h"
#include "foundation/base/text.h"
#include "postgres/pgdata/wal_name.h"
#include "postgres/pgdata/wal_reader.h"

namespace pgstrata::job {
namespace {

using branch::ClusterKind;

class WalCheck {
 public:
  WalCheck(const image::Image& image, const branch::ClusterFacts& facts, const branch::RecoveryPlan& plan,
           const std::vector<std::unique_ptr<image::WalArchive>>& archives,
           const std::function<void(const std::string&, const std::string&)>& tell)
      : image_(image), facts_(facts), plan_(plan), archives_(archives), tell_(tell) {
    verified_.from = facts.redo;
    verified_.to = plan.consistent_at;
  }

  VerifiedWal Run() {
    if (!plan_.missing_segment.empty()) {
      verified_.is_missing = true;
      Tell(plan_.missing_segment, "it is missing: without it the backup cannot become consistent");
    } else {
      ReadRecords();
    }
    ReadArchived();
    return verified_;
  }

 private:
  void Tell(const std::string& segment, const std::string& problem) {
    bad_segment_ = segment;
    tell_("pg_wal/" + segment, problem);
  }

  [[nodiscard]] std::string SegmentAt(const pgdata::WalReader& reader, Lsn position) const {
    const auto size = facts_.control.wal_segment_size;
    return pgdata::SegmentName({reader.history().TimelineAt(position), pgdata::SegmentNumber(position, size)}, size);
  }

  void ReadRecords() {
    const auto wal = branch::ClusterWal::Open(image_, facts_, archives_);
    if (!wal) return Tell(plan_.segments.front(), wal.error().message());
    pgdata::WalReader& reader = (*wal)->reader();
    const auto end = ReadToEnd(reader);
    if (end) {
      verified_.to = *end;
      return;
    }
    verified_.is_missing = reader.missing_segment().has_value();
    const Lsn position = std::max(reader.position(), facts_.redo);
    Tell(SegmentAt(reader, position), end.error().message());
  }

  // Where the cluster is consistent.
  Result<Lsn> ReadToEnd(pgdata::WalReader& reader) const {
    if (facts_.kind == ClusterKind::kOnlineBackup && !plan_.consistent_at) {
      return pgdata::FindBackupEnd(reader, facts_.redo, facts_.label->start);
    }
    // A stopped cluster begins with its last checkpoint's record, and of a crash nobody wrote down where WAL ends.
    const Lsn begin = facts_.kind == ClusterKind::kStopped ? facts_.control.checkpoint_lsn : facts_.redo;
    PGS_TRY(reader.Seek(begin));
    const Lsn end = plan_.consistent_at.value_or(Lsn{begin.value + 1});
    while (reader.position() < end) {
      PGS_ASSIGN(const auto record, reader.Next());
      if (record) continue;
      return Fail(ErrorCode::kCorrupt, "its WAL ends at " + reader.position().ToString() + ", before " +
                                           (plan_.consistent_at ? end.ToString() : "the first record") + ": " +
                                           reader.end_reason());
    }
    return plan_.consistent_at.value_or(reader.position());
  }

  [[nodiscard]] bool IsNeeded(const std::string& name) const {
    const auto segment = pgdata::ParseSegmentName(name, facts_.control.wal_segment_size);
    if (!segment || !verified_.to) return segment.has_value();
    const auto last = pgdata::SegmentNumberBefore(*verified_.to, facts_.control.wal_segment_size);
    return segment->number <= std::max(last, pgdata::SegmentNumber(facts_.redo, facts_.control.wal_segment_size));
  }

  void ReadArchived() {
    for (const auto& name : plan_.segments) {
      if (!IsNeeded(name)) continue;
      ++verified_.segments;
      const auto archived = std::ranges::find(plan_.from_archives, name, &branch::WalFromArchive::name);
      if (archived == plan_.from_archives.end() || name == bad_segment_) continue;
      if (const auto read = ReadWhole(*archived->archive, name); !read) Tell(name, read.error().message());
    }
  }

  static Status ReadWhole(const image::WalArchive& archive, const std::string& name) {
    PGS_ASSIGN(const auto file, archive.Open(name));
    std::vector<std::byte> buffer(std::min<uint64_t>(file->size(), 1 << 20));
    for (uint64_t offset = 0; offset < file->size();) {
      const auto piece = MutableBytes(buffer).first(std::min<uint64_t>(buffer.size(), file->size() - offset));
      PGS_TRY(file->ReadAt(offset, piece));
      offset += piece.size();
    }
    return {};
  }

  const image::Image& image_;
  const branch::ClusterFacts& facts_;
  const branch::RecoveryPlan& plan_;
  const std::vector<std::unique_ptr<image::WalArchive>>& archives_;
  const std::function<void(const std::string&, const std::string&)>& tell_;
  VerifiedWal verified_;
  std::string bad_segment_;  // the last that was told
};

}  // namespace

VerifiedWal VerifyWal(const image::Image& image, const branch::ClusterFacts& facts, const branch::RecoveryPlan& plan,
                      const std::vector<std::unique_ptr<image::WalArchive>>& archives,
                      const std::function<void(const std::string& path, const std::string& problem)>& tell) {
  return WalCheck(image, facts, plan, archives, tell).Run();
}

}  // namespace pgstrata::job
