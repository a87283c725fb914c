// backup.control of a pg_probackup backup: what it is, and whether it can be used (docs/format/pg_probackup.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "foundation/base/error.h"
#include "foundation/base/types.h"

namespace pgstrata::probackup {

enum class BackupMode : uint8_t { kFull, kDelta, kPage, kPtrack };
// "FULL".
std::string_view BackupModeName(BackupMode mode);

// 2.5.16 is {2, 5, 16}.
struct ProgramVersion {
  uint32_t major = 0;
  uint32_t minor = 0;
  uint32_t patch = 0;
  auto operator<=>(const ProgramVersion&) const = default;
  [[nodiscard]] std::string ToString() const;
  static std::optional<ProgramVersion> Parse(std::string_view text);
};

// From here on every backup is read as 2.5.16 reads it.
constexpr ProgramVersion kOldestVersion{2, 0, 25};
// From here on: a page header map, no padding, the number of blocks of every file.
constexpr ProgramVersion kHeaderMapVersion{2, 4, 0};
// What is newer may mean something else by the same words.
constexpr ProgramVersion kNewestVersion{2, 5, 16};

struct BackupControl {
  std::string id;  // the start time in base 36: "TOTJZ9"
  BackupMode mode = BackupMode::kFull;
  std::string status;  // "OK", "DONE", "MERGING"
  std::string parent;  // the ID of the parent; empty for FULL
  ProgramVersion version;
  std::string server_version;  // "15"
  std::string compression;     // "zlib", "pglz", "none": of the backup, not of each file
  bool stream = false;         // its WAL lies in pg_wal; otherwise in the catalog's archive
  bool from_replica = false;
  uint32_t block_size = 8192;
  uint32_t wal_block_size = 8192;
  bool data_checksums = false;
  TimelineId timeline;
  Lsn start;
  Lsn stop;
  std::string start_time;  // as written: "2026-11-20 21:06:45+00"
  std::string end_time;
  std::string merge_time;  // when backups were merged into it
  std::string recovery_time;
  std::string expire_time;
  std::optional<uint64_t> data_bytes;  // in the catalog
  std::optional<uint64_t> wal_bytes;
  std::optional<uint64_t> pgdata_bytes;           // restored
  std::vector<std::string> external_directories;  // sorted: number N of a file list is the Nth of these
  std::string note;
  uint32_t content_crc = 0;  // CRC-32C of backup_content.control; 0: not known

  bool operator==(const BackupControl&) const = default;
};

// Unknown keys are passed over. kCorrupt where a line is no "key = value" or a value is not of its kind, and where the
// start time, the mode, the status or the version is missing.
Result<BackupControl> ParseBackupControl(std::string_view text);

// Success where a chain can be read through this backup, as far as its control file says. kUnsupported, naming the
// value: a version that is older, or (without `force`) newer than those known, another block size. kCorrupt: a status
// that says that the backup is not whole; with `force`, CORRUPT and ORPHAN pass, which say it of a part.
Status CheckUsable(const BackupControl& control, bool force);
// Whether a backup in this status has its files as its list says: it may be damaged, but nobody is changing it.
bool HoldsStill(std::string_view status);

// A number in base 36, upper case; and whether `text` can be such a number.
std::string ToBase36(uint64_t value);
bool IsBackupId(std::string_view text);

}  // namespace pgstrata::probackup
