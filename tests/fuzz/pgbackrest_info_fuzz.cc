#include <cstddef>
#include <cstdint>
#include <string_view>

#include "catalog/pgbackrest/info_files.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pgstrata;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)pgbackrest::ParseBackupInfo(text);
  (void)pgbackrest::ParseArchiveInfo(text);
  return 0;
}
