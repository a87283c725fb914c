#include <cstddef>
#include <cstdint>
#include <string_view>

#include "postgres/pgdata/recovery_target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pgstrata;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto target = pgdata::ParseRecoveryTarget(text, {1'795'000'000'000'000'000}, "America/New_York");
  const bool is_time = target && target->kind == pgdata::RecoveryTarget::Kind::kTime;
  if (pgdata::DependsOnZone(text) && target && !is_time) __builtin_trap();
  return 0;
}
