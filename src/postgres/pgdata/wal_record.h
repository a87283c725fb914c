// One WAL record and what some of them say (src/include/access/xlogrecord.h, xact.h, src/include/catalog/pg_control.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "foundation/base/bytes.h"
#include "foundation/base/error.h"
#include "foundation/base/types.h"
#include "postgres/pgdata/control_file.h"

namespace pgstrata::pgdata {

constexpr uint8_t kXlogResourceManager = 0;
constexpr uint8_t kTransactionResourceManager = 1;

struct WalRecord {
  Lsn start;
  Lsn end;              // where the next record may begin: behind padding, and behind the segment for a segment switch
  Lsn previous;         // start of the record before
  TimelineId timeline;  // that it belongs to
  uint32_t xid = 0;
  uint8_t resource_manager = 0;
  uint8_t info = 0;
  ByteView main_data;  // lives until the reader's next step
};

// The end of a backup: returns the backup's start.
std::optional<Lsn> BackupEnd(const WalRecord& record);
bool IsCheckpoint(const WalRecord& record);  // a shutdown or an online one: main_data is for ParseCheckpoint
bool IsShutdownCheckpoint(const WalRecord& record);
bool IsSegmentSwitch(const WalRecord& record);

struct EndOfRecovery {
  Timestamp time;
  TimelineId timeline;
  TimelineId previous_timeline;
};
std::optional<EndOfRecovery> ParseEndOfRecovery(const WalRecord& record);

struct RestorePoint {
  Timestamp time;
  std::string name;
};
std::optional<RestorePoint> ParseRestorePoint(const WalRecord& record);

// Settings of the server that the WAL from here on was written under.
struct ParameterChange {
  uint32_t max_connections = 0;
  uint32_t max_worker_processes = 0;
  uint32_t max_wal_senders = 0;
  uint32_t max_prepared_transactions = 0;
  uint32_t max_locks_per_transaction = 0;
};
std::optional<ParameterChange> ParseParameterChange(const WalRecord& record);

// A record at which a recovery target of time or xid can stop.
struct TransactionEnd {
  bool committed = false;
  bool prepared = false;  // the second half of a two-phase commit
  uint32_t xid = 0;       // of the top transaction; for a prepared one that of PREPARE
  Timestamp time;
  std::vector<uint32_t> subtransactions;
};
// Nothing for other records; kCorrupt where one is shorter than it says.
Result<std::optional<TransactionEnd>> ParseTransactionEnd(const WalRecord& record, int major_version);

}  // namespace pgstrata::pgdata
