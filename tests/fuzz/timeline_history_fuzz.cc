#include <cstddef>
#include <cstdint>
#include <string_view>

#include "postgres/pgdata/timeline_history.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pgstrata;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto history = pgdata::TimelineHistory::Parse({100}, text);
  // Whatever was accepted keeps the promise of the class.
  if (history && history->TimelineAt({UINT64_MAX}) != TimelineId{100}) __builtin_trap();
  return 0;
}
