#include <cstddef>
#include <cstdint>
#include <string_view>

#include "catalog/pgbackrest/configuration.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pgstrata;
  (void)pgbackrest::ParseConfiguration({reinterpret_cast<const char*>(data), size}, "main", true);
  return 0;
}
