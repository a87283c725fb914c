#include <cstddef>
#include <cstdint>
#include <string_view>

#include "postgres/pgdata/pg_version.h"
#include "postgres/pgdata/relation_path.h"
#include "postgres/pgdata/wal_name.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pgstrata;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)pgdata::ParseWalFileName(text, pgdata::WalSegmentSize());
  (void)pgdata::ParsePgVersion(text);
  const auto path = pgdata::ParseRelationPath(text);
  if (path && pgdata::FormatRelationPath(*path) != text) __builtin_trap();
  return 0;
}
