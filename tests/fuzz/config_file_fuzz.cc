#include <cstddef>
#include <cstdint>
#include <string_view>

#include "postgres/pgdata/config_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pgstrata;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto entries = pgdata::ParseConfigFile(text);
  if (entries) {
    for (const pgdata::ConfigEntry& entry : *entries) {
      if (entry.value.find('\0') != std::string::npos) continue;
      const auto again = pgdata::ParseConfigFile(entry.name + " = " + pgdata::QuoteConfigValue(entry.value));
      if (!again || again->size() != 1 || again->front().value != entry.value) __builtin_trap();
    }
  }
  const auto libraries = pgdata::SplitLibraryList(text);
  if (libraries) {
    const auto again = pgdata::SplitLibraryList(pgdata::JoinLibraryList(*libraries));
    if (!again || *again != *libraries) __builtin_trap();
  }
  return 0;
}
