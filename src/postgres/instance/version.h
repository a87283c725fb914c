#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace pgstrata::instance {

// 15.20 is {15, 20}. The minor number is absent where learning it would have cost a process and nothing depends on it.
struct ServerVersion {
  int major = 0;
  std::optional<int> minor;
  bool operator==(const ServerVersion&) const = default;
  // "15.20", or "15".
  [[nodiscard]] std::string ToString() const;
};

// From the output of `postgres --version`: "postgres (PostgreSQL) 15.20 (Debian ...)", "... 18beta1" (minor 0).
std::optional<ServerVersion> ParseVersionOutput(std::string_view output);

}  // namespace pgstrata::instance
