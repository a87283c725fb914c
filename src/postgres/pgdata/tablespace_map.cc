#include "postgres/pgdata/tablespace_map.h"

#include <fmt/format.h>

#include <limits>
#include <optional>

#include "foundation/base/text.h"

namespace pgstrata::pgdata {
namespace {

constexpr char kEscape = '\\';

// "16384 /srv/space".
std::optional<TablespaceMapping> ParseLine(std::string_view line) {
  const size_t blank = line.find(' ');
  if (blank == std::string_view::npos) return std::nullopt;
  const auto oid = ParseDecimal(line.substr(0, blank));
  if (!oid || *oid == 0 || *oid > std::numeric_limits<uint32_t>::max() || blank + 1 == line.size()) return std::nullopt;
  return TablespaceMapping{{static_cast<uint32_t>(*oid)}, std::string(line.substr(blank + 1))};
}

// Lines with their escapes taken off; a last line without its end is one too.
std::vector<std::string> UnescapedLines(std::string_view text) {
  std::vector<std::string> lines;
  std::string line;
  bool escaped = false;
  for (const char c : text) {
    if (!escaped && (c == '\n' || c == '\r')) {
      if (!line.empty()) lines.push_back(std::move(line));
      line.clear();
    } else if (!escaped && c == kEscape) {
      escaped = true;
    } else {
      line += c;
      escaped = false;
    }
  }
  if (!line.empty()) lines.push_back(std::move(line));
  return lines;
}

}  // namespace

Result<std::vector<TablespaceMapping>> ParseTablespaceMap(std::string_view text) {
  std::vector<TablespaceMapping> mappings;
  for (const std::string& line : UnescapedLines(text)) {
    auto mapping = ParseLine(line);
    if (!mapping) {
      return Fail(ErrorCode::kCorrupt,
                  fmt::format("\"{}\": \"{}\" is not an OID and a path", kTablespaceMapPath, line));
    }
    mappings.push_back(*std::move(mapping));
  }
  return mappings;
}

std::string FormatTablespaceMap(const std::vector<TablespaceMapping>& mappings) {
  std::string text;
  for (const auto& [oid, path] : mappings) {
    text += fmt::format("{} ", oid.value);
    for (const char c : path) {
      if (c == '\n' || c == '\r' || c == kEscape) text += kEscape;
      text += c;
    }
    text += '\n';
  }
  return text;
}

}  // namespace pgstrata::pgdata
