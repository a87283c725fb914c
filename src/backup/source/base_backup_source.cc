#include "backup/source/base_backup_source.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "backup/source/base_backup.h"
#include "foundation/io/directory.h"

namespace pgstrata::source {
namespace {

// The last component, with the one before it where it alone says little: "15/main", "monday".
std::string DisplayName(const std::string& path) {
  constexpr std::array<std::string_view, 5> kSayLittle = {"data", "main", "pgdata", "base", "backup"};
  size_t begin = path.find_last_of('/') + 1;
  const bool says_little = std::ranges::find(kSayLittle, std::string_view(path).substr(begin)) != kSayLittle.end();
  if (says_little && begin > 1) begin = path.find_last_of('/', begin - 2) + 1;
  return begin == path.size() ? "/" : path.substr(begin);
}

Status RequireUnused(ResolvedSource& source, const OpenedBaseBackup& opened, const SourceRequest& request) {
  std::vector<std::string> places = opened.older;
  places.push_back(source.path);
  for (const auto& place : places) {
    if (source.used_by || !io::IsDirectory(place)) continue;
    PGS_ASSIGN(source.used_by, FindServerUsing(place));
  }
  for (const auto* image : opened.plain_images) {
    if (source.used_by) continue;
    PGS_ASSIGN(source.used_by, FindServerBehindLinks(*image));
  }
  if (!source.used_by || request.may_be_in_use) return {};
  return Fail(InUseError(*source.used_by, source.path));
}

}  // namespace

Result<ResolvedSource> ResolveBaseBackup(const SourceName& name, const SourceRequest& request) {
  PGS_ASSIGN(auto opened, OpenBaseBackup(name, request));
  ResolvedSource resolved;
  resolved.kind = name.kind;
  resolved.path = opened.path;
  resolved.newest_was_taken = opened.newest_was_taken;
  resolved.is_plain_directory = opened.is_plain_directory;
  resolved.older = opened.older;
  resolved.display_name = DisplayName(resolved.path);
  resolved.image = std::move(opened.image);
  PGS_TRY(RequireUnused(resolved, opened, request));
  return resolved;
}

}  // namespace pgstrata::source
