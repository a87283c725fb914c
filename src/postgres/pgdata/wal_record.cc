#include "postgres/pgdata/wal_record.h"

#include <fmt/format.h>

#include "postgres/pgdata/pg_time.h"

namespace pgstrata::pgdata {
namespace {

constexpr uint8_t kInfoMask = 0xF0;  // the lower half of xl_info is the WAL machinery's own

// xl_info of the XLOG resource manager.
constexpr uint8_t kCheckpointShutdown = 0x00;
constexpr uint8_t kCheckpointOnline = 0x10;
constexpr uint8_t kSwitch = 0x40;
constexpr uint8_t kBackupEnd = 0x50;
constexpr uint8_t kParameterChange = 0x60;
constexpr uint8_t kRestorePoint = 0x70;
constexpr uint8_t kEndOfRecovery = 0x90;

// xl_info of the transaction resource manager.
constexpr uint8_t kOperationMask = 0x70;
constexpr uint8_t kCommit = 0x00;
constexpr uint8_t kAbort = 0x20;
constexpr uint8_t kCommitPrepared = 0x30;
constexpr uint8_t kAbortPrepared = 0x40;
constexpr uint8_t kHasInfo = 0x80;

// xinfo: which parts follow.
constexpr uint32_t kHasDatabase = 1U << 0;
constexpr uint32_t kHasSubtransactions = 1U << 1;
constexpr uint32_t kHasRelations = 1U << 2;
constexpr uint32_t kHasInvalidations = 1U << 3;
constexpr uint32_t kHasTwoPhase = 1U << 4;
constexpr uint32_t kHasDroppedStatistics = 1U << 8;

bool IsXlog(const WalRecord& record, uint8_t info) {
  return record.resource_manager == kXlogResourceManager && (record.info & kInfoMask) == info;
}

// A count and that many items of `size` bytes.
void SkipItems(ByteReader& reader, size_t size) {
  const auto count = reader.Read<uint32_t>();
  reader.Skip(size * count);
}

std::vector<uint32_t> ReadXids(ByteReader& reader) {
  std::vector<uint32_t> xids;
  const ByteView bytes = reader.Take(sizeof(uint32_t) * static_cast<size_t>(reader.Read<uint32_t>()));
  for (size_t i = 0; i < bytes.size(); i += sizeof(uint32_t)) xids.push_back(LoadLe<uint32_t>(bytes, i));
  return xids;
}

// The parts between the time and the xid of a two-phase transaction, in their order on disk.
void ReadParts(ByteReader& reader, uint32_t parts, int major_version, TransactionEnd& end) {
  constexpr size_t kDatabaseSize = 8;
  constexpr size_t kRelationSize = 12;
  constexpr size_t kInvalidationSize = 16;
  const size_t statistics_size = major_version >= 18 ? 16 : 12;  // the object's key became 64 bits wide
  if ((parts & kHasDatabase) != 0) reader.Skip(kDatabaseSize);
  if ((parts & kHasSubtransactions) != 0) end.subtransactions = ReadXids(reader);
  if ((parts & kHasRelations) != 0) SkipItems(reader, kRelationSize);
  if ((parts & kHasDroppedStatistics) != 0) SkipItems(reader, statistics_size);
  if (end.committed && (parts & kHasInvalidations) != 0) SkipItems(reader, kInvalidationSize);
  if ((parts & kHasTwoPhase) != 0) end.xid = reader.Read<uint32_t>();
}

}  // namespace

std::optional<Lsn> BackupEnd(const WalRecord& record) {
  if (!IsXlog(record, kBackupEnd) || record.main_data.size() < sizeof(uint64_t)) return std::nullopt;
  return Lsn{LoadLe<uint64_t>(record.main_data, 0)};
}

bool IsShutdownCheckpoint(const WalRecord& record) { return IsXlog(record, kCheckpointShutdown); }

bool IsCheckpoint(const WalRecord& record) { return IsShutdownCheckpoint(record) || IsXlog(record, kCheckpointOnline); }

bool IsSegmentSwitch(const WalRecord& record) { return IsXlog(record, kSwitch); }

std::optional<EndOfRecovery> ParseEndOfRecovery(const WalRecord& record) {
  if (!IsXlog(record, kEndOfRecovery)) return std::nullopt;
  ByteReader reader(record.main_data);
  const Timestamp time = FromTimestampTz(reader.Read<int64_t>());
  const TimelineId timeline{reader.Read<uint32_t>()};
  const TimelineId previous_timeline{reader.Read<uint32_t>()};
  if (!reader.ok()) return std::nullopt;
  return EndOfRecovery{time, timeline, previous_timeline};
}

std::optional<RestorePoint> ParseRestorePoint(const WalRecord& record) {
  constexpr size_t kNameSize = 64;
  if (!IsXlog(record, kRestorePoint)) return std::nullopt;
  ByteReader reader(record.main_data);
  const Timestamp time = FromTimestampTz(reader.Read<int64_t>());
  const std::string_view name = AsText(reader.Take(kNameSize));
  if (!reader.ok()) return std::nullopt;
  return RestorePoint{time, std::string(name.substr(0, name.find('\0')))};
}

std::optional<ParameterChange> ParseParameterChange(const WalRecord& record) {
  if (!IsXlog(record, kParameterChange)) return std::nullopt;
  ByteReader reader(record.main_data);
  ParameterChange change;
  change.max_connections = reader.Read<uint32_t>();
  change.max_worker_processes = reader.Read<uint32_t>();
  change.max_wal_senders = reader.Read<uint32_t>();
  change.max_prepared_transactions = reader.Read<uint32_t>();
  change.max_locks_per_transaction = reader.Read<uint32_t>();
  if (!reader.ok()) return std::nullopt;
  return change;
}

Result<std::optional<TransactionEnd>> ParseTransactionEnd(const WalRecord& record, int major_version) {
  const uint8_t operation = record.info & kOperationMask;
  TransactionEnd end;
  end.committed = operation == kCommit || operation == kCommitPrepared;
  end.prepared = operation == kCommitPrepared || operation == kAbortPrepared;
  const bool ends = end.committed || end.prepared || operation == kAbort;
  if (record.resource_manager != kTransactionResourceManager || !ends) return std::nullopt;

  end.xid = record.xid;
  ByteReader reader(record.main_data);
  end.time = FromTimestampTz(reader.Read<int64_t>());
  if ((record.info & kHasInfo) != 0) ReadParts(reader, reader.Read<uint32_t>(), major_version, end);
  if (!reader.ok()) {
    return Fail(ErrorCode::kCorrupt,
                fmt::format("the end of a transaction at {} is too short", record.start.ToString()));
  }
  return end;
}

}  // namespace pgstrata::pgdata
