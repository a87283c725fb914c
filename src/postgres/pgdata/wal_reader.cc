// Invariants
// - A byte is used only if the file that it came from belongs to the timeline that holds that byte in history_. A newer
//   timeline's file begins with a copy of the older one's bytes, so the newest file is asked first; a file of an older
//   timeline serves up to the point where that timeline was left, and what lies behind is missing, not read.
// - A record is given out only when its length, its predecessor and its CRC are right. Anything else is the end of WAL:
//   a crash leaves zeros, older WAL of a recycled segment, or half a record, and none of these is an error.
// - What a page says about itself becomes an error only when the page is certainly meant to stand here (its own address
//   is right) and still is not ours: another version, another cluster, another segment size.
#include "postgres/pgdata/wal_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

#include "postgres/pgdata/crc32c.h"

namespace pgstrata::pgdata {
namespace {

constexpr size_t kBufferSize = 16 * kWalPageSize;
constexpr uint32_t kRecordHeaderSize = 24;
constexpr uint32_t kLargestRecord = 0x3FFFFFFF;  // of palloc; PostgreSQL 16 and later allow 1,020 MB
constexpr uint64_t kRecordAlignment = 8;

// xlp_info.
constexpr uint16_t kFirstIsContinuation = 0x0001;
constexpr uint16_t kLongHeader = 0x0002;
constexpr uint16_t kFirstOverwritesContinuation = 0x0008;
constexpr uint16_t kAllPageFlags = 0x000F;
constexpr uint32_t kShortHeaderSize = 24;
constexpr uint32_t kLongHeaderSize = 40;

struct Magic {
  int major_version;
  uint16_t value;
};
constexpr std::array kMagics = {Magic{14, 0xD10D}, Magic{15, 0xD110}, Magic{16, 0xD113}, Magic{17, 0xD116},
                                Magic{18, 0xD118}};

uint64_t Align(uint64_t value) { return (value + kRecordAlignment - 1) / kRecordAlignment * kRecordAlignment; }
Lsn PageOf(Lsn lsn) { return {lsn.value / kWalPageSize * kWalPageSize}; }

// The CRC covers the record without its header, then the header up to the CRC.
bool CrcMatches(ByteView record) {
  constexpr size_t kCrcOffset = 20;
  const uint32_t crc = Crc32c(record.first(kCrcOffset), Crc32c(record.subspan(kRecordHeaderSize)));
  return crc == LoadLe<uint32_t>(record, kCrcOffset);
}

// The header of a block reference (XLogRecordBlockHeader) behind its id; returns how much data it announces.
uint64_t ReadBlockHeader(ByteReader& reader, int major_version) {
  constexpr uint8_t kHasImage = 0x10;
  constexpr uint8_t kSameRelation = 0x80;
  constexpr uint8_t kImageHasHole = 0x01;
  const uint8_t image_compressed = major_version >= 15 ? 0x04 | 0x08 | 0x10 : 0x02;
  constexpr size_t kRelationSize = 12;

  const auto fork_flags = reader.Read<uint8_t>();
  uint64_t data_length = reader.Read<uint16_t>();
  if ((fork_flags & kHasImage) != 0) {
    data_length += reader.Read<uint16_t>();
    reader.Skip(sizeof(uint16_t));  // hole_offset
    const auto image_info = reader.Read<uint8_t>();
    if ((image_info & kImageHasHole) != 0 && (image_info & image_compressed) != 0) reader.Skip(sizeof(uint16_t));
  }
  if ((fork_flags & kSameRelation) == 0) reader.Skip(kRelationSize);
  reader.Skip(sizeof(uint32_t));  // block number
  return data_length;
}

// The record's own data: behind all headers and the data of blocks. Nothing where the headers contradict each other.
std::optional<ByteView> MainData(ByteView record, int major_version) {
  constexpr uint8_t kLargestBlockId = 32;
  constexpr uint8_t kTopLevelXid = 252;
  constexpr uint8_t kOrigin = 253;
  constexpr uint8_t kLongData = 254;
  constexpr uint8_t kShortData = 255;

  ByteReader reader(record.subspan(kRecordHeaderSize));
  uint64_t announced = 0;
  uint64_t main_length = 0;
  while (reader.ok() && reader.remaining() > announced) {
    const auto id = reader.Read<uint8_t>();
    if (id == kShortData || id == kLongData) {
      main_length = id == kShortData ? reader.Read<uint8_t>() : reader.Read<uint32_t>();
      announced += main_length;
      break;  // always the last header
    }
    if (id == kOrigin) {
      reader.Skip(sizeof(uint16_t));
    } else if (id == kTopLevelXid) {
      reader.Skip(sizeof(uint32_t));
    } else if (id <= kLargestBlockId) {
      announced += ReadBlockHeader(reader, major_version);
    } else {
      return std::nullopt;
    }
  }
  if (!reader.ok() || reader.remaining() != announced) return std::nullopt;
  return record.last(main_length);
}

}  // namespace

WalReader::WalReader(WalSource& source, TimelineHistory history, WalReaderOptions options)
    : source_(source), history_(std::move(history)), options_(options) {}

std::nullopt_t WalReader::EndsHere(std::string reason) {
  end_reason_ = std::move(reason);
  return std::nullopt;
}

std::unexpected<Error> WalReader::Missing(const WalSegment& segment) {
  missing_ = segment;
  return Fail(ErrorCode::kMissingWal,
              fmt::format("WAL segment \"{}\" is missing", SegmentName(segment, options_.segment_size)));
}

// Where the timeline of segment_ was left: its file says nothing about what lies behind.
Lsn WalReader::ServedUpTo() const {
  for (const TimelineSpan& span : history_.spans()) {
    if (span.timeline == segment_->timeline && span.end) return *span.end;
  }
  return {std::numeric_limits<uint64_t>::max()};
}

// Whether the file at hand holds the bytes before `end`.
Status WalReader::CheckServed(Lsn end) {
  const Lsn limit = ServedUpTo();
  if (end <= limit) return {};
  return Missing({history_.TimelineAt(limit), SegmentNumber(limit, options_.segment_size)});
}

// Reads into buffer_ from the newest timeline's file of this segment that there is. A file once chosen is kept.
Result<size_t> WalReader::ReadSegment(uint64_t number, uint64_t offset) {
  if (segment_ && segment_->number == number) {
    auto length = source_.Read(*segment_, offset, buffer_);
    if (!length && length.error().code() == ErrorCode::kNotFound) return Missing(*segment_);
    return length;
  }
  const Lsn begin = SegmentStart(number, options_.segment_size);
  const Lsn last{begin.value + options_.segment_size.bytes() - 1};
  const auto& spans = history_.spans();
  for (size_t i = spans.size(); i-- > 0;) {
    if (spans[i].begin > last || (spans[i].end && *spans[i].end <= begin)) continue;
    const WalSegment candidate{spans[i].timeline, number};
    auto length = source_.Read(candidate, offset, buffer_);
    if (!length && length.error().code() == ErrorCode::kNotFound) continue;
    segment_ = candidate;
    return length;
  }
  return Missing({history_.TimelineAt(last), number});
}

// Makes buffer_ hold `page`. False where the file ends before it. A file may end within a page (a compressed .partial
// segment does): the rest of that page is zero, as it would be in pg_wal.
Result<bool> WalReader::FillBuffer(Lsn page) {
  const uint64_t number = SegmentNumber(page, options_.segment_size);
  const uint64_t offset = page.value % options_.segment_size.bytes();
  buffer_.resize(std::min<uint64_t>(kBufferSize, options_.segment_size.bytes() - offset));
  auto length = ReadSegment(number, offset);
  if (!length) {
    buffer_.clear();
    segment_.reset();
    return Fail(std::move(length).error());
  }
  const size_t used = std::min(*length, buffer_.size());
  buffer_.resize((used + kWalPageSize - 1) / kWalPageSize * kWalPageSize);
  std::ranges::fill(std::span(buffer_).subspan(used), std::byte{0});
  buffer_start_ = page;
  return !buffer_.empty();
}

WalReader::Found<WalReader::PageHeader> WalReader::LoadPage(Lsn page) {
  const bool buffered = segment_ && page >= buffer_start_ && page.value < buffer_start_.value + buffer_.size();
  if (!buffered) {
    PGS_ASSIGN(const bool there, FillBuffer(page));
    if (!there && page < ServedUpTo())
      return EndsHere(fmt::format("\"{}\" ends", SegmentName(*segment_, options_.segment_size)));
  }
  PGS_TRY(CheckServed({page.value + 1}));
  page_ = ByteView(buffer_).subspan(page.value - buffer_start_.value, kWalPageSize);
  return CheckPage(page);
}

Status WalReader::CheckLongHeader() const {
  const auto system_identifier = LoadLe<uint64_t>(page_, 24);
  const auto segment_size = LoadLe<uint32_t>(page_, 32);
  const std::string name = SegmentName(*segment_, options_.segment_size);
  if (options_.system_identifier && *options_.system_identifier != system_identifier) {
    return Fail(ErrorCode::kCorrupt,
                fmt::format("WAL segment \"{}\" is of another cluster (system identifier {}, not {})", name,
                            system_identifier, *options_.system_identifier));
  }
  if (segment_size == options_.segment_size.bytes()) return {};
  return Fail(ErrorCode::kCorrupt, fmt::format("WAL segment \"{}\" says that segments have {} bytes, not {}", name,
                                               segment_size, options_.segment_size.bytes()));
}

WalReader::Found<WalReader::PageHeader> WalReader::CheckPage(Lsn page) {
  const auto magic = LoadLe<uint16_t>(page_, 0);
  PageHeader header{.address = page,
                    .timeline = {LoadLe<uint32_t>(page_, 4)},
                    .info = LoadLe<uint16_t>(page_, 2),
                    .remaining_length = LoadLe<uint32_t>(page_, 16),
                    .size = kShortHeaderSize};
  const auto known = std::ranges::find(kMagics, magic, &Magic::value);
  if (known == kMagics.end()) return EndsHere("there is no WAL page");
  if (LoadLe<uint64_t>(page_, 8) != page.value) return EndsHere("there is an older page of a recycled segment");
  if (known->major_version != options_.major_version) {
    return Fail(ErrorCode::kUnsupported, fmt::format("WAL segment \"{}\" is of PostgreSQL {}, not {}",
                                                     SegmentName(*segment_, options_.segment_size),
                                                     known->major_version, options_.major_version));
  }
  const bool first = page.value % options_.segment_size.bytes() == 0;
  const bool long_header = (header.info & kLongHeader) != 0;
  if ((header.info & ~kAllPageFlags) != 0 || first != long_header) return EndsHere("the header of a page is damaged");
  if (header.timeline > history_.TimelineAt(page)) return EndsHere("there is a page of another timeline");
  if (long_header) {
    PGS_TRY(CheckLongHeader());
    header.size = kLongHeaderSize;
  }
  return header;
}

// The record at `at`, which is on a record's place or on a page's first byte.
WalReader::Found<WalReader::RawRecord> WalReader::ReadRaw(Lsn at) {
  PGS_ASSIGN(const auto header, LoadPage(PageOf(at)));
  if (!header) return std::nullopt;
  PGS_TRY(CheckServed({at.value + 1}));
  if (at == header->address) {
    if ((header->info & kFirstIsContinuation) != 0) return EndsHere("a record continues where one should begin");
    at.value += header->size;
  }
  const size_t offset = at.value - header->address.value;
  if (offset < header->size || at.value % kRecordAlignment != 0) return EndsHere("no record can begin there");

  const auto total_length = LoadLe<uint32_t>(page_, offset);
  if (total_length == 0) return EndsHere("there is no record");
  if (total_length < kRecordHeaderSize || total_length > kLargestRecord) return EndsHere("the length is no record's");
  RawRecord record{.start = at, .end = {}, .bytes = page_.subspan(offset)};
  if (total_length > record.bytes.size()) return ReadAcrossPages(record, total_length);
  record.bytes = record.bytes.first(total_length);
  record.end = {at.value + Align(total_length)};
  PGS_TRY(CheckServed(record.end));
  return record;
}

// Memory grows with what the WAL really holds, never by what a length only claims. Where a server crashed in the middle
// of a record and went on, the next page says that it overwrites: then that record never was, and the one on that page
// takes its place.
WalReader::Found<WalReader::RawRecord> WalReader::ReadAcrossPages(RawRecord record, uint32_t total_length) {
  const Lsn served_up_to = ServedUpTo();
  record_.assign(record.bytes.begin(), record.bytes.end());
  Lsn page = PageOf(record.start);
  while (record_.size() < total_length) {
    page.value += kWalPageSize;
    PGS_ASSIGN(const auto header, LoadPage(page));
    if (!header) return std::nullopt;
    if ((header->info & kFirstOverwritesContinuation) != 0) return ReadRaw(page);
    if (page >= served_up_to) return EndsHere("a record crosses the end of its timeline");
    const size_t left = total_length - record_.size();
    if ((header->info & kFirstIsContinuation) == 0 || header->remaining_length != left) {
      return EndsHere("a record is not continued on the next page");
    }
    const ByteView part = page_.subspan(header->size, std::min(left, kWalPageSize - header->size));
    record_.insert(record_.end(), part.begin(), part.end());
    record.end = {page.value + header->size + Align(part.size())};
  }
  PGS_TRY(CheckServed(record.end));
  if (record.end > served_up_to) return EndsHere("a record crosses the end of its timeline");
  record.bytes = record_;
  return record;
}

// `previous`: where the record before it starts; 0 where that is not known.
WalReader::Found<WalRecord> WalReader::ReadRecord(Lsn at, Lsn previous) {
  PGS_ASSIGN(const auto raw, ReadRaw(at));
  if (!raw) return std::nullopt;
  WalRecord record{.start = raw->start,
                   .end = raw->end,
                   .previous = {LoadLe<uint64_t>(raw->bytes, 8)},
                   .timeline = history_.TimelineAt(raw->start),
                   .xid = LoadLe<uint32_t>(raw->bytes, 4),
                   .resource_manager = LoadLe<uint8_t>(raw->bytes, 17),
                   .info = LoadLe<uint8_t>(raw->bytes, 16),
                   .main_data = {}};
  const bool follows = previous.valid() ? record.previous == previous : record.previous < record.start;
  if (!follows) return EndsHere("there is a record that does not follow the one before");
  if (!CrcMatches(raw->bytes)) return EndsHere("there is a record whose checksum does not match");
  const auto main_data = MainData(raw->bytes, options_.major_version);
  if (!main_data) {
    return Fail(ErrorCode::kCorrupt, fmt::format("the WAL record at {} is damaged", record.start.ToString()));
  }
  record.main_data = *main_data;
  if (IsSegmentSwitch(record)) {
    const uint64_t segment = SegmentNumberBefore(record.end, options_.segment_size);
    record.end = SegmentStart(segment + 1, options_.segment_size);
  }
  return record;
}

// Where the first record begins that begins on `page` or a later one.
WalReader::Found<Lsn> WalReader::FirstRecordFrom(Lsn page) {
  for (;; page.value += kWalPageSize) {
    PGS_ASSIGN(const auto header, LoadPage(page));
    if (!header) return std::nullopt;
    if ((header->info & kFirstIsContinuation) == 0) return Lsn{page.value + header->size};
    const uint64_t offset = header->size + Align(header->remaining_length);
    if (offset < kWalPageSize) return Lsn{page.value + offset};
    // A record that ends with its page does not go on, but neither is there room behind it.
  }
}

Status WalReader::Seek(Lsn lsn) {
  missing_.reset();
  position_ = lsn;
  previous_ = {};
  // Only a record's start passes for one: its CRC has to match.
  PGS_ASSIGN(const auto exact, ReadRecord(lsn, {}));
  if (exact) return {};
  PGS_ASSIGN(auto start, FirstRecordFrom(PageOf(lsn)));
  Lsn previous;
  while (start && *start < lsn) {
    PGS_ASSIGN(const auto record, ReadRecord(*start, previous));
    if (!record) return {};
    previous = record->start;
    start = record->end;
  }
  if (start) position_ = *start;
  previous_ = previous;
  return {};
}

Result<std::optional<WalRecord>> WalReader::Next() {
  missing_.reset();
  PGS_ASSIGN(const auto record, ReadRecord(position_, previous_));
  if (!record) return std::nullopt;
  position_ = record->end;
  previous_ = record->start;
  return record;
}

Result<Lsn> FindBackupEnd(WalReader& reader, Lsn redo, Lsn start) {
  constexpr std::string_view kHint = "give the directory or archive that holds it: --wal DIR";
  const auto with_hint = [&](Error error) {
    return Fail(error.code() == ErrorCode::kMissingWal ? std::move(error).WithHint(std::string(kHint))
                                                       : std::move(error));
  };
  if (auto sought = reader.Seek(redo); !sought) return with_hint(std::move(sought).error());
  while (true) {
    auto record = reader.Next();
    if (!record) return with_hint(std::move(record).error());
    if (!*record) break;
    if (BackupEnd(**record) == start) return (*record)->end;
  }
  const Lsn position = reader.position();
  const WalSegmentSize size = reader.options().segment_size;
  const WalSegment segment{reader.history().TimelineAt(position), SegmentNumber(position, size)};
  return with_hint(
      Error(ErrorCode::kMissingWal, fmt::format("WAL ends at {} in segment \"{}\", before the end of the backup: {}",
                                                position.ToString(), SegmentName(segment, size), reader.end_reason())));
}

}  // namespace pgstrata::pgdata
