#include <cstdlib>

#include "foundation/base/text.h"
#include "postgres/instance/server.h"

namespace pgstrata::instance {

// Lines: pid, data directory, start time, port, socket directory, address, "key id" of shared memory, status.
std::optional<PostmasterFile> ParsePostmasterFile(std::string_view text) {
  constexpr size_t kSharedMemoryLine = 6;
  constexpr size_t kStatusLine = 7;
  const auto lines = SplitLines(text);
  if (lines.empty()) return std::nullopt;
  const auto pid = ParseDecimal(TrimWhitespace(lines[0]));
  if (!pid || *pid == 0 || *pid > INT32_MAX) return std::nullopt;
  PostmasterFile file{.pid = static_cast<pid_t>(*pid)};
  if (lines.size() > kSharedMemoryLine) {
    const std::string_view line = TrimWhitespace(lines[kSharedMemoryLine]);
    const size_t space = line.find_last_of(" \t");
    if (space != std::string_view::npos) {
      const auto key = ParseDecimal(TrimWhitespace(line.substr(0, space)));
      const auto id = ParseDecimal(line.substr(space + 1));
      if (key && id && *key <= UINT32_MAX && *id <= INT32_MAX) {
        file.shared_memory_key = static_cast<long>(*key);
        file.shared_memory_id = static_cast<int>(*id);
      }
    }
  }
  if (lines.size() > kStatusLine) file.status = TrimWhitespace(lines[kStatusLine]);
  return file;
}

}  // namespace pgstrata::instance
