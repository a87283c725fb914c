#include <cstddef>
#include <cstdint>
#include <string_view>

#include "postgres/pgdata/backup_label.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pgstrata;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)pgdata::ParseBackupLabel(text);
  return 0;
}
