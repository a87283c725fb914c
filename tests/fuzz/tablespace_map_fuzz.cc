#include <cstddef>
#include <cstdint>
#include <string_view>

#include "postgres/pgdata/tablespace_map.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pgstrata;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto mappings = pgdata::ParseTablespaceMap(text);
  if (mappings) {
    const auto again = pgdata::ParseTablespaceMap(pgdata::FormatTablespaceMap(*mappings));
    if (!again || *again != *mappings) __builtin_trap();
  }
  return 0;
}
