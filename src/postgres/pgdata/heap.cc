#include "postgres/pgdata/heap.h"

#include <fmt/format.h>

#include "postgres/pgdata/page.h"

namespace pgstrata::pgdata {
namespace {

constexpr size_t kLinePointerSize = 4;
constexpr uint32_t kLinePointerNormal = 1;
constexpr size_t kTupleHeaderSize = 23;  // up to the bitmap of nulls

// t_infomask.
constexpr uint16_t kHasNull = 0x0001;
constexpr uint16_t kXmaxExclusiveLock = 0x0040;
constexpr uint16_t kXmaxKeyShareLock = 0x0010;
constexpr uint16_t kXmaxLockOnly = 0x0080;
constexpr uint16_t kXminCommitted = 0x0100;
constexpr uint16_t kXminInvalid = 0x0200;
constexpr uint16_t kXmaxCommitted = 0x0400;
constexpr uint16_t kXmaxInvalid = 0x0800;
constexpr uint16_t kXmaxIsMulti = 0x1000;
// t_infomask2.
constexpr uint16_t kAttributeCountMask = 0x07FF;

std::unexpected<Error> Damaged(std::string_view what, unsigned slot) {
  return Fail(ErrorCode::kCorrupt, fmt::format("{} {} of a table's page is damaged", what, slot));
}

// `bytes`: the item, from its header on.
Result<HeapTuple> ParseTuple(ByteView bytes, uint16_t slot) {
  if (bytes.size() < kTupleHeaderSize) return Damaged("tuple", slot);
  HeapTuple tuple;
  tuple.slot = slot;
  tuple.xmin = LoadLe<uint32_t>(bytes, 0);
  tuple.xmax = LoadLe<uint32_t>(bytes, 4);
  tuple.infomask2 = LoadLe<uint16_t>(bytes, 18);
  tuple.infomask = LoadLe<uint16_t>(bytes, 20);
  tuple.attribute_count = tuple.infomask2 & kAttributeCountMask;
  const auto data_offset = static_cast<size_t>(bytes[22]);
  const size_t null_bytes = (tuple.infomask & kHasNull) != 0 ? (tuple.attribute_count + 7U) / 8 : 0;
  if (data_offset < kTupleHeaderSize + null_bytes || data_offset > bytes.size() || data_offset % 8 != 0) {
    return Damaged("tuple", slot);
  }
  tuple.nulls = bytes.subspan(kTupleHeaderSize, null_bytes);
  tuple.data = bytes.subspan(data_offset);
  return tuple;
}

bool OnlyLocked(const HeapTuple& tuple) {
  constexpr uint16_t kLockMask = kXmaxExclusiveLock | kXmaxKeyShareLock;
  return (tuple.infomask & kXmaxLockOnly) != 0 || (tuple.infomask & (kXmaxIsMulti | kLockMask)) == kXmaxExclusiveLock;
}

// Whether a transaction happened, as a visibility of what it made.
Result<Visibility> Happened(uint32_t xid, const TransactionStatusLookup& status) {
  PGS_ASSIGN(const TransactionStatus end, status(xid));
  switch (end) {
    case TransactionStatus::kCommitted:
      return Visibility::kLive;
    case TransactionStatus::kAborted:
      return Visibility::kDead;
    case TransactionStatus::kInProgress:
    case TransactionStatus::kSubCommitted:
      break;
  }
  return Visibility::kUnknown;
}

Result<Visibility> Inserted(const HeapTuple& tuple, const TransactionStatusLookup& status) {
  if ((tuple.infomask & kXminCommitted) != 0) return Visibility::kLive;  // frozen is both bits
  if ((tuple.infomask & kXminInvalid) != 0) return Visibility::kDead;
  return Happened(tuple.xmin, status);
}

Result<Visibility> Deleted(const HeapTuple& tuple, const TransactionStatusLookup& status) {
  if (tuple.xmax == 0 || (tuple.infomask & kXmaxInvalid) != 0 || OnlyLocked(tuple)) return Visibility::kDead;
  if ((tuple.infomask & kXmaxIsMulti) != 0) return Visibility::kUnknown;  // its members are in pg_multixact
  if ((tuple.infomask & kXmaxCommitted) != 0 || tuple.xmax == tuple.xmin) return Visibility::kLive;
  return Happened(tuple.xmax, status);
}

}  // namespace

Result<std::vector<HeapTuple>> HeapTuples(ByteView page) {
  std::vector<HeapTuple> tuples;
  if (page.size() == kPageSize && IsNew(page)) return tuples;
  PGS_ASSIGN(const PageHeader header, ParsePageHeader(page));
  const size_t slots = (header.lower - kPageHeaderSize) / kLinePointerSize;
  for (size_t i = 0; i < slots; ++i) {
    const auto slot = static_cast<uint16_t>(i + 1);
    const auto pointer = LoadLe<uint32_t>(page, kPageHeaderSize + i * kLinePointerSize);
    if (((pointer >> 15) & 3U) != kLinePointerNormal) continue;
    const size_t offset = pointer & 0x7FFFU;
    const size_t length = pointer >> 17;
    if (offset < header.upper || offset + length > header.special) return Damaged("line pointer", slot);
    PGS_ASSIGN(HeapTuple tuple, ParseTuple(page.subspan(offset, length), slot));
    tuples.push_back(tuple);
  }
  return tuples;
}

Result<Visibility> TupleVisibility(const HeapTuple& tuple, const TransactionStatusLookup& status) {
  PGS_ASSIGN(const Visibility inserted, Inserted(tuple, status));
  if (inserted == Visibility::kDead) return Visibility::kDead;
  PGS_ASSIGN(const Visibility deleted, Deleted(tuple, status));
  if (deleted == Visibility::kLive) return Visibility::kDead;
  if (deleted == Visibility::kUnknown) return Visibility::kUnknown;
  return inserted;
}

Result<std::vector<std::optional<ByteView>>> TupleColumns(const HeapTuple& tuple, std::span<const ColumnType> types) {
  std::vector<std::optional<ByteView>> columns;
  size_t position = 0;
  for (size_t i = 0; i < types.size(); ++i) {
    const bool stored = i < tuple.attribute_count;
    const bool null =
        stored && !tuple.nulls.empty() && (static_cast<unsigned>(tuple.nulls[i / 8]) & (1U << (i % 8))) == 0;
    if (!stored || null) {
      columns.emplace_back(std::nullopt);
      continue;
    }
    position = (position + types[i].alignment - 1) / types[i].alignment * types[i].alignment;
    if (position + types[i].length > tuple.data.size()) return Damaged("tuple", tuple.slot);
    columns.emplace_back(tuple.data.subspan(position, types[i].length));
    position += types[i].length;
  }
  return columns;
}

}  // namespace pgstrata::pgdata
