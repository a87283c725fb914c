#include "postgres/pgdata/clog_reader.h"

#include <fmt/format.h>

#include "postgres/pgdata/page.h"

namespace pgstrata::pgdata {
namespace {

constexpr uint32_t kTransactionsPerByte = 4;
constexpr uint32_t kBitsPerTransaction = 2;
constexpr uint32_t kPagesPerSegment = 32;
constexpr uint32_t kTransactionsPerSegment = kPagesPerSegment * kPageSize * kTransactionsPerByte;

constexpr uint32_t kBootstrapXid = 1;
constexpr uint32_t kFrozenXid = 2;

}  // namespace

std::string ClogSegmentName(uint32_t xid) { return fmt::format("{:04X}", xid / kTransactionsPerSegment); }

TransactionStatus StatusInClogSegment(ByteView segment, uint32_t xid) {
  const uint32_t in_segment = xid % kTransactionsPerSegment;
  const size_t position = in_segment / kTransactionsPerByte;
  if (position >= segment.size()) return TransactionStatus::kInProgress;
  const uint32_t shift = in_segment % kTransactionsPerByte * kBitsPerTransaction;
  return static_cast<TransactionStatus>((static_cast<uint32_t>(segment[position]) >> shift) & 3U);
}

Result<TransactionStatus> ClogReader::Status(uint32_t xid) {
  if (xid == kBootstrapXid || xid == kFrozenXid) return TransactionStatus::kCommitted;
  const std::string name = ClogSegmentName(xid);
  auto segment = segments_.find(name);
  if (segment == segments_.end()) {
    auto loaded = load_(name);
    if (!loaded && loaded.error().code() != ErrorCode::kNotFound) return Fail(std::move(loaded).error());
    segment = segments_.emplace(name, std::move(loaded).value_or("")).first;
  }
  const TransactionStatus status = StatusInClogSegment(AsBytes(segment->second), xid);
  const bool known = !segment->second.empty();
  if (settled_ && known && status == TransactionStatus::kInProgress) return TransactionStatus::kAborted;
  return status;
}

}  // namespace pgstrata::pgdata
