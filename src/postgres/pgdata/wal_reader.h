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

  // Goes to the record that starts at `lsn`, or the first one after it where `lsn` lies inside a record. kMissingWal
  // where the segment is absent. WAL that ends before `lsn` is no error: Next says it.
  Status Seek(Lsn lsn);

  // The next record. Nothing at the end of valid WAL: there position() is where a record should have begun and
  // end_reason() says what is there instead. That is how WAL of a crashed server ends. kMissingWal, naming the segment,
  // where the next bytes lie in a segment that the source does not have; kUnsupported for WAL of another major version,
  // kCorrupt for that of another cluster or another segment size.
  Result<std::optional<WalRecord>> Next();

  // Where the next record begins.
  [[nodiscard]] Lsn position() const { return position_; }
  // Why Next returned nothing.
  [[nodiscard]] const std::string& end_reason() const { return end_reason_; }
  // Which segment the last kMissingWal was about.
  [[nodiscard]] const std::optional<WalSegment>& missing_segment() const { return missing_; }
  [[nodiscard]] const TimelineHistory& history() const { return history_; }
  [[nodiscard]] const WalReaderOptions& options() const { return options_; }

 private:
  struct PageHeader {
    Lsn address;
    TimelineId timeline;
    uint16_t info = 0;
    uint32_t remaining_length = 0;  // of the record that continues here
    uint32_t size = 0;              // of the header itself
  };
  // The bytes of a record, not yet checked.
  struct RawRecord {
    Lsn start;
    Lsn end;
    ByteView bytes;
  };
  // Nothing where valid WAL ends; end_reason_ is set.
  template <typename T>
  using Found = Result<std::optional<T>>;

  std::nullopt_t EndsHere(std::string reason);
  std::unexpected<Error> Missing(const WalSegment& segment);
  [[nodiscard]] Lsn ServedUpTo() const;
  Status CheckServed(Lsn end);
  Result<size_t> ReadSegment(uint64_t number, uint64_t offset);
  Result<bool> FillBuffer(Lsn page);
  Found<PageHeader> LoadPage(Lsn page);
  Found<PageHeader> CheckPage(Lsn page);
  Status CheckLongHeader() const;
  Found<RawRecord> ReadRaw(Lsn at);
  Found<RawRecord> ReadAcrossPages(RawRecord record, uint32_t total_length);
  Found<WalRecord> ReadRecord(Lsn at, Lsn previous);
  Found<Lsn> FirstRecordFrom(Lsn page);

  WalSource& source_;
  TimelineHistory history_;
  WalReaderOptions options_;
  Lsn position_;
  Lsn previous_;  // start of the record before position_; 0 after a jump
  std::string end_reason_;
  std::optional<WalSegment> missing_;

  std::optional<WalSegment> segment_;  // the file that buffer_ is from
  Lsn buffer_start_;
  std::vector<std::byte> buffer_;  // whole pages
  ByteView page_;                  // in buffer_
  std::vector<std::byte> record_;  // one that crosses pages
};

// Reads from `redo` to the record that ends the backup begun at `start`, and returns the LSN at which it is consistent.
// kMissingWal, naming the segment, where WAL is absent, or ends before that record.
Result<Lsn> FindBackupEnd(WalReader& reader, Lsn redo, Lsn start);

}  // namespace pgstrata::pgdata
