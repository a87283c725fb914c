// Tuples of a heap page (src/include/access/htup_details.h), and their columns.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "foundation/base/bytes.h"
#include "foundation/base/error.h"
#include "postgres/pgdata/clog_reader.h"

namespace pgstrata::pgdata {

// Views into the page.
struct HeapTuple {
  uint16_t slot = 0;  // offset number, from 1
  uint32_t xmin = 0;
  uint32_t xmax = 0;
  uint16_t infomask = 0;
  uint16_t infomask2 = 0;
  uint16_t attribute_count = 0;
  ByteView nulls;  // bitmap, a set bit is a value that is there; empty where no column is null
  ByteView data;   // from t_hoff on
};

// The tuples that line pointers of the page name (LP_NORMAL), dead ones too, in the order of slots. A new page has
// none. kCorrupt where a line pointer or a tuple does not lie inside the page.
Result<std::vector<HeapTuple>> HeapTuples(ByteView page);

// Whether a tuple is part of the table for somebody who looks now.
enum class Visibility : uint8_t {
  kLive,
  kDead,
  kUnknown,  // depends on a transaction whose end is not known
};
// By hint bits; where they are not set by `status`. A tuple that is only locked is live.
Result<Visibility> TupleVisibility(const HeapTuple& tuple, const TransactionStatusLookup& status);

// A column of fixed length (pg_attribute.attlen, attalign).
struct ColumnType {
  uint16_t length = 0;     // bytes
  uint16_t alignment = 1;  // 1, 2, 4 or 8 bytes
};
// The bytes of the first columns, which are of `types`: nothing for null. Columns that the tuple was written without
// are null too. kCorrupt where a column does not lie inside the tuple.
Result<std::vector<std::optional<ByteView>>> TupleColumns(const HeapTuple& tuple, std::span<const ColumnType> types);

}  // namespace pgstrata::pgdata
