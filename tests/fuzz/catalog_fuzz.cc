// The input is a relation: whole pages of tuples, for every version's catalogs. Its first byte says how the
// transactions ended that it names.
#include <cstddef>
#include <cstdint>

#include "postgres/pgdata/catalog.h"
#include "postgres/pgdata/page.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pgstrata;
  const ByteView relation = std::as_bytes(std::span(data, size));
  const auto salt = size == 0 ? 0U : static_cast<uint32_t>(data[0]);
  const pgdata::TransactionStatusLookup status = [salt](uint32_t xid) -> Result<pgdata::TransactionStatus> {
    return static_cast<pgdata::TransactionStatus>((xid ^ salt) % 4);
  };
  const pgdata::RelationPages pages = pgdata::PagesOf(relation);
  for (const int version : {14, 15, 18}) {
    (void)pgdata::ReadRoles(version, pages, status);
    (void)pgdata::ReadDatabases(version, pages, status);
  }
  (void)pgdata::CountSubscriptions(pages, status);
  for (size_t offset = 0; offset + pgdata::kPageSize <= size; offset += pgdata::kPageSize) {
    (void)pgdata::VerifyPage(relation.subspan(offset, pgdata::kPageSize), {0}, true);
  }
  (void)pgdata::StatusInClogSegment(relation, salt);
  return 0;
}
