// PostgreSQL's own rule for a time (recoveryStopsBefore in xlogrecovery.c): stop before the first record, in the order
// of the WAL, that ends a transaction at a later time. Times do not follow that order exactly: by microseconds under
// load, by any amount where a clock was set. What lies behind the stop and is not later is told, as far as one looks.
//
// A transaction and a restore point are met by their record, which is replayed. An LSN is met by the first record that
// begins there or behind it, which is not.
#include "branch/branch/moment_scan.h"

#include <fmt/format.h>

#include <algorithm>

#include "branch/branch/cluster_wal.h"
#include "branch/branch/replayed_tablespaces.h"
#include "foundation/base/text.h"
#include "postgres/pgdata/pg_time.h"
#include "postgres/pgdata/wal_reader.h"

namespace pgstrata::branch {
namespace {

using Kind = pgdata::RecoveryTarget::Kind;

// How far one looks behind the target.
constexpr uint64_t kLookAhead = 32ULL << 20;

void TakeLarger(pgdata::ParameterChange& to, const pgdata::ParameterChange& from) {
  to.max_connections = std::max(to.max_connections, from.max_connections);
  to.max_worker_processes = std::max(to.max_worker_processes, from.max_worker_processes);
  to.max_wal_senders = std::max(to.max_wal_senders, from.max_wal_senders);
  to.max_prepared_transactions = std::max(to.max_prepared_transactions, from.max_prepared_transactions);
  to.max_locks_per_transaction = std::max(to.max_locks_per_transaction, from.max_locks_per_transaction);
}

bool IsOf(const pgdata::TransactionEnd& end, uint32_t xid) {
  return end.xid == xid || std::ranges::find(end.subtransactions, xid) != end.subtransactions.end();
}

// What was found behind the target that seems to belong before it.
struct Later {
  size_t count = 0;
  Lsn first;
  Timestamp first_time;
  uint32_t first_xid = 0;
};

class Scan {
 public:
  Scan(const WalInventory& inventory, const ClusterFacts& facts, const pgdata::TimelineHistory& history,
       const pgdata::RecoveryTarget& target, Lsn consistent_at)
      : inventory_(inventory),
        facts_(facts),
        target_(target),
        size_(facts.control.wal_segment_size),
        source_(inventory, size_),
        reader_(source_, history, WalOptionsOf(facts)) {
    found_.consistent_at = consistent_at;
    if (!facts.label) found_.consistent_time = facts.control.checkpoint.time;
  }

  Result<ScannedWal> Run() {
    PGS_TRY(Begin());
    while (!found_.met || reader_.position() < found_.consistent_at) {
      PGS_ASSIGN(const auto record, Next());
      if (!record) break;
      PGS_TRY(Look(*record));
    }
    if (!found_.met) found_.end = reader_.position();
    PGS_TRY(RequireFollower());
    LookBehind();
    return std::move(found_);
  }

 private:
  // A cleanly stopped cluster has replayed its checkpoint already.
  Status Begin() {
    auto sought = reader_.Seek(facts_.redo);
    if (!sought) return sought;
    if (facts_.kind != ClusterKind::kStopped) return {};
    PGS_TRY(Next());
    found_.consistent_at = reader_.position();
    return {};
  }

  // Nothing where the WAL ends: then found_.gap says whether it should.
  Result<std::optional<pgdata::WalRecord>> Next() {
    auto record = reader_.Next();
    if (record && *record) return record;
    if (!record && record.error().code() != ErrorCode::kMissingWal) return record;
    if (!GoesOnBehind(reader_.position())) return std::nullopt;
    const pgdata::WalSegment here{reader_.history().TimelineAt(reader_.position()),
                                  pgdata::SegmentNumber(reader_.position(), size_)};
    found_.gap = record
                     ? fmt::format("WAL segment \"{}\" cannot be read behind {}: {}", pgdata::SegmentName(here, size_),
                                   reader_.position().ToString(), reader_.end_reason())
                     : record.error().message();
    return std::nullopt;
  }

  // Whether the history leads on from `end`, where the WAL ends: to a timeline that begins later, or in segments that
  // are at hand.
  [[nodiscard]] bool GoesOnBehind(Lsn end) const {
    const auto& spans = reader_.history().spans();
    if (spans.back().begin > end) return true;
    const uint64_t number = pgdata::SegmentNumber(end, size_);
    const auto names = inventory_.Segments();
    return std::ranges::any_of(names, [&](const std::string& name) {
      const auto segment = pgdata::ParseSegmentName(name, size_);
      return segment && segment->number > number && segment->timeline == spans.back().timeline &&
             IsWritten(name, *segment);
    });
  }

  // A server makes segments in its pg_wal before it writes them: these begin with what they were before.
  [[nodiscard]] bool IsWritten(const std::string& name, const pgdata::WalSegment& segment) const {
    if (inventory_.PlaceOf(name).archive != nullptr) return true;
    const auto file = inventory_.Open(name);
    return file && BeginsAt(**file, pgdata::SegmentStart(segment.number, size_)).value_or(false);
  }

  // Replays a record, or finds that the target stops before it.
  Status Look(const pgdata::WalRecord& record) {
    PGS_ASSIGN(const auto end, pgdata::ParseTransactionEnd(record, facts_.major_version));
    if (!found_.met && StopsBefore(record, end)) Meet(record.start);
    if (!found_.met) {
      if (end) found_.last_transaction = end->time;
      if (const auto change = pgdata::ParseParameterChange(record)) TakeLarger(found_.parameters, *change);
      if (found_.tablespace_place.empty()) found_.tablespace_place = TablespacePlaceMade(record);
    }
    if (record.start < found_.consistent_at) LookBeforeConsistency(record, end);
    if (!found_.met && StopsAfter(record, end)) Meet(record.end);
    return {};
  }

  // The server stops before a record that it reads. Behind one that is replayed there may be none.
  Status RequireFollower() {
    if (!found_.stop || reader_.position() != *found_.stop) return {};
    PGS_ASSIGN(const auto next, Next());
    found_.gap.clear();
    if (!next) found_.stop.reset();
    return {};
  }

  void Meet(Lsn stop) {
    found_.met = true;
    found_.stop = found_.end = stop;
  }

  void LookBeforeConsistency(const pgdata::WalRecord& record, const std::optional<pgdata::TransactionEnd>& end) {
    std::optional<Timestamp> time;
    if (end) time = end->time;
    if (facts_.label && record.start == facts_.label->checkpoint && pgdata::IsCheckpoint(record)) {
      const auto checkpoint = pgdata::ParseCheckpoint(record.main_data);
      if (checkpoint) time = checkpoint->time;
    }
    if (time) found_.consistent_time = std::max(found_.consistent_time.value_or(*time), *time);
  }

  [[nodiscard]] bool StopsBefore(const pgdata::WalRecord& record,
                                 const std::optional<pgdata::TransactionEnd>& end) const {
    if (target_.kind == Kind::kLsn) return record.start >= target_.lsn;
    return target_.kind == Kind::kTime && end && end->time > target_.time;
  }

  [[nodiscard]] bool StopsAfter(const pgdata::WalRecord& record,
                                const std::optional<pgdata::TransactionEnd>& end) const {
    if (target_.kind == Kind::kTransaction) return end && IsOf(*end, target_.xid);
    if (target_.kind != Kind::kRestorePoint) return false;
    const auto point = pgdata::ParseRestorePoint(record);
    return point && point->name == target_.point;
  }

  void LookBehind() {
    found_.segments = source_.used();
    const bool wanted = target_.kind == Kind::kTime || target_.kind == Kind::kRestorePoint;
    if (!found_.stop || !wanted) return;
    const Lsn limit{found_.end.value + kLookAhead};
    Later later;
    // What cannot be read there is not needed.
    for (auto record = reader_.Next(); record && *record && reader_.position() < limit; record = reader_.Next()) {
      Compare(**record, later);
    }
    if (later.count > 0) found_.warnings.push_back(Describe(later));
  }

  void Compare(const pgdata::WalRecord& record, Later& later) const {
    if (target_.kind == Kind::kRestorePoint) {
      const auto point = pgdata::ParseRestorePoint(record);
      if (!point || point->name != target_.point) return;
      if (later.count++ == 0) later.first = record.end;
      return;
    }
    const auto end = pgdata::ParseTransactionEnd(record, facts_.major_version);
    if (!end || !*end || (*end)->time > target_.time || !(*end)->committed) return;
    if (later.count++ > 0) return;
    later.first = record.end;
    later.first_time = (*end)->time;
    later.first_xid = (*end)->xid;
  }

  [[nodiscard]] std::string Describe(const Later& later) const {
    if (target_.kind == Kind::kRestorePoint) {
      return fmt::format(
          "there is more than one restore point {}; this is the first one after the backup began, the "
          "next is lsn:{}",
          Quoted(target_.point), later.first.ToString());
    }
    return fmt::format(
        "{} later transaction{} in the WAL {} an earlier time than {} and {} not there, because the clock did not "
        "follow "
        "the order of commits; the first of them is xid:{} of {}",
        later.count, later.count == 1 ? "" : "s", later.count == 1 ? "has" : "have",
        pgdata::FormatExactly(target_.time), later.count == 1 ? "is" : "are", later.first_xid,
        pgdata::FormatExactly(later.first_time));
  }

  const WalInventory& inventory_;
  const ClusterFacts& facts_;
  const pgdata::RecoveryTarget& target_;
  const pgdata::WalSegmentSize size_;
  InventoryWalSource source_;
  pgdata::WalReader reader_;
  ScannedWal found_;
};

}  // namespace

Result<Lsn> FindConsistency(const WalInventory& inventory, const ClusterFacts& facts, std::optional<Lsn> written_at) {
  if (facts.kind == ClusterKind::kStandby) return std::max(facts.control.min_recovery_point, facts.redo);
  if (facts.kind != ClusterKind::kOnlineBackup) return facts.redo;
  if (written_at) return *written_at;
  PGS_ASSIGN(auto history, inventory.History(facts.timeline));
  InventoryWalSource source(inventory, facts.control.wal_segment_size);
  pgdata::WalReader reader(source, std::move(history), WalOptionsOf(facts));
  return pgdata::FindBackupEnd(reader, facts.redo, facts.label->start);
}

Result<ScannedWal> ScanWal(const WalInventory& inventory, const ClusterFacts& facts,
                           const pgdata::TimelineHistory& history, const pgdata::RecoveryTarget& target,
                           Lsn consistent_at) {
  return Scan(inventory, facts, history, target, consistent_at).Run();
}

}  // namespace pgstrata::branch
