// pg_xact: two bits that say how each transaction ended (src/backend/access/transam/clog.c).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "foundation/base/bytes.h"
#include "foundation/base/error.h"

namespace pgstrata::pgdata {

// The numbers are those on disk. kInProgress also stands for "not known": its commit may lie in WAL not yet replayed.
enum class TransactionStatus : uint8_t { kInProgress = 0, kCommitted = 1, kAborted = 2, kSubCommitted = 3 };

// How a transaction ended, as far as is known.
using TransactionStatusLookup = std::function<Result<TransactionStatus>(uint32_t xid)>;

// The file in pg_xact that holds `xid`: "0000".
std::string ClogSegmentName(uint32_t xid);
// `segment`: the bytes of that file; what lies beyond its end is kInProgress.
TransactionStatus StatusInClogSegment(ByteView segment, uint32_t xid);

// Reads segments through `load` (name -> bytes; kNotFound where absent) and keeps them. One thread.
class ClogReader {
 public:
  using Load = std::function<Result<std::string>(std::string_view name)>;
  // `settled`: the cluster was stopped cleanly, so that what has not committed never will.
  ClogReader(Load load, bool settled) : load_(std::move(load)), settled_(settled) {}
  // An absent segment says nothing of its transactions: kInProgress. Other errors of `load` come back.
  Result<TransactionStatus> Status(uint32_t xid);

 private:
  Load load_;
  bool settled_;
  std::map<std::string, std::string> segments_;
};

}  // namespace pgstrata::pgdata
