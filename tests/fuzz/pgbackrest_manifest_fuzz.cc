#include <cstddef>
#include <cstdint>
#include <string_view>

#include "catalog/pgbackrest/manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pgstrata;
  (void)pgbackrest::ParseManifest({reinterpret_cast<const char*>(data), size});
  return 0;
}
