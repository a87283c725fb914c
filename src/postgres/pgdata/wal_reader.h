// Walks over WAL records (src/backend/access/transam/xlogreader.c), following a history of timelines.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "foundation/base/bytes.h"
#include "foundation/base/error.h"
#include "foundation/base/types.h"
#include "postgres/pgdata/timeline_history.h"
#include "postgres/pgdata/wal_name.h"
#include "postgres/pgdata/wal_record.h"

namespace pgstrata::pgdata {

constexpr size_t kWalPageSize = 8192;

// Where segments come from: directories, archives, a backup's own pg_wal.
class WalSource {
 public:
  virtual ~WalSource() = default;
  // Fills `out` with the bytes of a segment file from `offset` on; returns how many there were: fewer only at the end
  // of the file. kNotFound where the file is absent.
  virtual Result<size_t> Read(const WalSegment& segment, uint64_t offset, MutableBytes out) = 0;
};

struct WalReaderOptions {
  int major_version = 0;  // 14 to 18
  WalSegmentSize segment_size;
  std::optional<uint64_t> system_identifier;  // compared with each segment's where known
};

// One thread. The source outlives the reader.
class WalReader {
 public:
  WalReader(WalSource& source, TimelineHistory history, WalReaderOptions options);

  // Goes to the record that starts at `lsn`, or the first one after it where `lsn` lies inside a record.
  Status Seek(Lsn lsn);

  // The next record. Nothing at the end of valid WAL: there position() is where a record should have begun and
  // end_reason() says what is there instead. That is how WAL of a crashed server ends. kMissingWal, naming the segment,
  // where the next bytes lie in a segment that the source does not have; kUnsupported for WAL of another major version,
  // kCorrupt for that of another cluster or another segment size.
  Result<std::optional<WalRecord>> Next();

  // Where the next record begins.
  [[nodiscard]] Lsn position() const { return position_; }
  [[nodiscard]] const std::string& end_reason() const { return end_reason_; }
  [[nodiscard]] const TimelineHistory& history() const { return history_; }
  [[nodiscard]] const WalReaderOptions& options() const { return options_; }

 private:
  struct Page;
  enum class Step { kOk, kEnd };

  WalSource& source_;
  TimelineHistory history_;
  WalReaderOptions options_;
  Lsn position_;
  Lsn previous_;
  std::string end_reason_;
  std::vector<std::byte> page_;
  std::vector<std::byte> record_;
};

// Reads from `redo` to the record that ends the backup begun at `start`, and returns the LSN at which it is consistent.
// kMissingWal, naming the segment, where WAL is absent, or ends before that record.
Result<Lsn> FindBackupEnd(WalReader& reader, Lsn redo, Lsn start);

}  // namespace pgstrata::pgdata
