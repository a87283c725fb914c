#include "backup/source/source_name.h"

#include <algorithm>
#include <array>
#include <utility>

namespace pgstrata::source {
namespace {

constexpr std::array<std::pair<std::string_view, SourceKind>, 6> kKinds = {{{"dir:", SourceKind::kDirectory},
                                                                            {"tar:", SourceKind::kTar},
                                                                            {"pg_probackup:", SourceKind::kPgProbackup},
                                                                            {"pgbackrest:", SourceKind::kPgbackrest},
                                                                            {"store:", SourceKind::kStore},
                                                                            {"branch:", SourceKind::kBranch}}};
constexpr std::string_view kReserved = "latest";

bool IsAlphanumeric(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

bool IsName(std::string_view text) {
  return !text.empty() && IsAlphanumeric(text.front()) &&
         std::ranges::all_of(text, [](char c) { return IsAlphanumeric(c) || c == '.' || c == '_' || c == '-'; });
}

std::unexpected<Error> Usage(std::string message, std::string hint) {
  return Fail(Error(ErrorCode::kUsage, std::move(message)).WithHint(std::move(hint)));
}

Result<SourceName> ParseName(std::string_view text) {
  const std::string quoted = '"' + std::string(text) + '"';
  const std::string as_path = "a directory is named with a slash: \"./" + std::string(text) + '"';
  const size_t at = text.find('@');
  const std::string_view name = text.substr(0, at);
  if (name == kReserved || name.starts_with("latest~")) {
    return Usage(quoted + " is a reserved word, not the name of a source", as_path);
  }
  if (!IsName(name)) return Usage(quoted + " is neither a path nor a name", as_path);
  SourceName parsed{.kind = SourceKind::kName, .rest = std::string(name), .time = {}};
  if (at == std::string_view::npos) return parsed;
  parsed.time = text.substr(at + 1);
  if (parsed.time.empty() || parsed.time.contains('@')) {
    return Usage(quoted + " is not NAME@TIME", "give the time with --at, or name a directory with a slash");
  }
  return parsed;
}

}  // namespace

std::string_view KindWord(SourceKind kind) {
  const auto found = std::ranges::find(kKinds, kind, [](const auto& known) { return known.second; });
  return found->first.substr(0, found->first.size() - 1);
}

Result<SourceName> ParseSourceName(std::string_view text) {
  if (text.empty()) return Usage("the source is empty", "name the directory of a backup");
  for (const auto& [prefix, kind] : kKinds) {
    if (!text.starts_with(prefix)) continue;
    SourceName parsed{.kind = kind, .rest = std::string(text.substr(prefix.size())), .time = {}};
    if (!parsed.rest.empty()) return parsed;
    return Usage('"' + std::string(text) + "\" names nothing after the colon", "write " + std::string(prefix) + "PATH");
  }
  if (text.starts_with("postgres://") || text.starts_with("postgresql://")) {
    return SourceName{.kind = SourceKind::kServer, .rest = std::string(text), .time = {}};
  }
  if (text.contains('/') || text == "." || text == "..") {
    return SourceName{.kind = SourceKind::kDirectory, .rest = std::string(text), .time = {}};
  }
  if (text == "-") return SourceName{.kind = SourceKind::kStandardInput, .rest = {}, .time = {}};
  return ParseName(text);
}

}  // namespace pgstrata::source
