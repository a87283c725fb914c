// global/pg_control: what PostgreSQL knows about a cluster before it reads anything else
// (src/include/catalog/pg_control.h, src/common/controldata_utils.c).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "foundation/base/bytes.h"
#include "foundation/base/error.h"
#include "foundation/base/types.h"
#include "postgres/pgdata/wal_name.h"

namespace pgstrata::pgdata {

constexpr std::string_view kControlFilePath = "global/pg_control";

// DBState; the numbers are those on disk.
enum class ClusterState : uint32_t {
  kStartingUp = 0,
  kShutDown = 1,
  kShutDownInRecovery = 2,
  kShuttingDown = 3,
  kInCrashRecovery = 4,
  kInArchiveRecovery = 5,
  kInProduction = 6,
};
// As pg_controldata prints it: "in production".
std::string_view ClusterStateName(ClusterState state);

// WalLevel; the numbers are those on disk.
enum class WalLevel : uint32_t { kMinimal = 0, kReplica = 1, kLogical = 2 };
std::string_view WalLevelName(WalLevel level);

// A checkpoint record, in pg_control as in the WAL (CheckPoint).
struct Checkpoint {
  Lsn redo;
  TimelineId timeline;
  TimelineId previous_timeline;  // other than `timeline` only at the end of a recovery
  bool full_page_writes = false;
  uint64_t next_full_xid = 0;  // epoch in the high half
  Oid next_oid;
  uint32_t next_multixact = 0;
  uint32_t next_multixact_offset = 0;
  uint32_t oldest_xid = 0;
  Oid oldest_xid_database;
  uint32_t oldest_multixact = 0;
  Oid oldest_multixact_database;
  Timestamp time;
  uint32_t oldest_commit_timestamp_xid = 0;
  uint32_t newest_commit_timestamp_xid = 0;
  uint32_t oldest_active_xid = 0;
};

struct ControlFile {
  uint64_t system_identifier = 0;
  uint32_t control_version = 0;  // pg_control_version: 1300 for 14 to 16, 1700, 1800
  uint32_t catalog_version = 0;  // catalog_version_no: 202209061 for 15
  ClusterState state = ClusterState::kStartingUp;
  Timestamp time;  // of the last write of pg_control
  Lsn checkpoint_lsn;
  Checkpoint checkpoint;
  Lsn unlogged_lsn;
  Lsn min_recovery_point;
  TimelineId min_recovery_point_timeline;
  Lsn backup_start_point;
  Lsn backup_end_point;
  bool backup_end_required = false;
  WalLevel wal_level = WalLevel::kMinimal;
  bool wal_log_hints = false;
  uint32_t max_connections = 0;
  uint32_t max_worker_processes = 0;
  uint32_t max_wal_senders = 0;
  uint32_t max_prepared_transactions = 0;
  uint32_t max_locks_per_transaction = 0;
  bool track_commit_timestamp = false;
  uint32_t max_align = 0;
  uint32_t block_size = 0;
  uint32_t blocks_per_segment = 0;  // relseg_size
  uint32_t wal_block_size = 0;
  WalSegmentSize wal_segment_size;
  uint32_t name_data_length = 0;
  uint32_t index_max_keys = 0;
  uint32_t toast_max_chunk_size = 0;
  uint32_t large_object_block_size = 0;
  bool float8_by_value = false;
  uint32_t data_checksum_version = 0;       // 0: no data checksums
  std::optional<bool> default_char_signed;  // 18 and later

  [[nodiscard]] bool data_checksums() const { return data_checksum_version != 0; }
  // Stopped cleanly: it needs no recovery. A standby's clean stop (kShutDownInRecovery) is not that: it has to replay
  // from its last restart point.
  [[nodiscard]] bool shut_down() const { return state == ClusterState::kShutDown; }
  // 14 to 18, from the catalog version; kUnsupported for a catalog that no release has (a beta, a fork).
  [[nodiscard]] Result<int> MajorVersion() const;
  // kCorrupt where PG_VERSION says `pg_version`, and pg_control is of another major version.
  [[nodiscard]] Status CheckAgainst(int pg_version) const;
};

// Every byte is checked before it is believed. kCorrupt: too short, or the CRC does not match. kUnsupported, naming the
// value: the other byte order, another architecture (alignment, float format), a version before 14 or after 18, another
// block size, relation segment size or WAL block size.
Result<ControlFile> ParseControlFile(ByteView bytes);

// The same structure inside a checkpoint record of the WAL. kCorrupt where `main_data` is too short.
Result<Checkpoint> ParseCheckpoint(ByteView main_data);

}  // namespace pgstrata::pgdata
