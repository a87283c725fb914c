#include "postgres/pgdata/pg_version.h"

#include <fmt/format.h>

#include "foundation/base/text.h"

namespace pgstrata::pgdata {
namespace {

// "9.6" and its like: what PG_VERSION held before 10.
bool IsDottedVersion(std::string_view text) {
  const auto parts = Split(text, '.');
  return parts.size() == 2 && ParseDecimal(parts[0]).has_value() && ParseDecimal(parts[1]).has_value();
}

}  // namespace

Result<int> ParsePgVersion(std::string_view text) {
  const std::string_view word = TrimWhitespace(text);
  const auto number = ParseDecimal(word);
  if (word.size() > 8 || (!number && !IsDottedVersion(word))) {
    return Fail(ErrorCode::kCorrupt, "\"PG_VERSION\" does not hold a version of PostgreSQL");
  }
  if (!number || *number < kOldestMajorVersion || *number > kNewestMajorVersion) {
    return Fail(
        Error(ErrorCode::kUnsupported, fmt::format("the cluster is of PostgreSQL {}", word))
            .WithHint(fmt::format("versions {} to {} are supported", kOldestMajorVersion, kNewestMajorVersion)));
  }
  return static_cast<int>(*number);
}

}  // namespace pgstrata::pgdata
