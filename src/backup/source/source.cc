#include "backup/source/source.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "backup/image/directory_image.h"
#include "backup/image/wal_directory.h"
#include "backup/source/recognise.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"

namespace pgstrata::source {
namespace {

bool IsDirectory(const std::string& path) {
  const auto status = io::StatTarget(path);
  return status && S_ISDIR(status->st_mode);
}

// How a person calls sources of this kind.
std::string_view KindInWords(SourceKind kind) {
  switch (kind) {
    case SourceKind::kTar:
      return "tar sources";
    case SourceKind::kPgProbackup:
      return "pg_probackup sources";
    case SourceKind::kPgbackrest:
      return "pgBackRest sources";
    case SourceKind::kStore:
      return "store sources";
    case SourceKind::kBranch:
      return "branch sources";
    case SourceKind::kServer:
      return "live servers";
    case SourceKind::kStandardInput:
      return "backups from standard input";
    case SourceKind::kDirectory:
    case SourceKind::kName:
      break;
  }
  return "such sources";
}

std::unexpected<Error> NoSuchName(const std::string& typed, const std::string& name) {
  Error error(ErrorCode::kNotFound, "there is no source named " + Quoted(name));
  for (const auto& directory : {typed, name}) {
    if (!IsDirectory(directory)) continue;
    return Fail(std::move(error).WithHint("to open the directory of that name, write " + Quoted("./" + directory)));
  }
  return Fail(
      std::move(error).WithHint("this version opens directories; name one with a slash: " + Quoted("./" + name)));
}

bool IsTarName(std::string_view name) {
  constexpr std::array<std::string_view, 6> kSuffixes = {".tar", ".tar.gz", ".tgz", ".tar.lz4", ".tar.zst", ".tar.bz2"};
  return std::ranges::any_of(kSuffixes, [&](std::string_view suffix) { return name.ends_with(suffix); });
}

Error ExplainPath(Error error, const std::string& path) {
  if (error.code() == ErrorCode::kInvalidArgument && IsTarName(path)) {
    return std::move(error).WithHint("this version opens directories: unpack the tar files first");
  }
  return error;
}

// The last component, with the one before it where it alone says little: "15/main", "monday".
std::string DisplayName(const std::string& path) {
  constexpr std::array<std::string_view, 5> kSayLittle = {"data", "main", "pgdata", "base", "backup"};
  size_t begin = path.find_last_of('/') + 1;
  const bool says_little = std::ranges::find(kSayLittle, std::string_view(path).substr(begin)) != kSayLittle.end();
  if (says_little && begin > 1) begin = path.find_last_of('/', begin - 2) + 1;
  std::string name = path.substr(begin);
  for (char& c : name) {
    if (c < ' ' || c == '\x7F') c = '?';
  }
  return name.empty() ? "/" : name;
}

Status RequireUnused(ResolvedSource& source, const SourceRequest& request) {
  PGS_ASSIGN(source.used_by, FindServerUsing(source.path));
  if (!source.used_by) {
    PGS_ASSIGN(source.used_by, FindServerBehindLinks(*source.image));
  }
  if (!source.used_by || request.may_be_in_use) return {};
  return Fail(InUseError(*source.used_by, source.path));
}

Result<ResolvedSource> ResolveDirectory(const std::string& path, const SourceRequest& request) {
  auto image = image::OpenDirectory(path);
  if (!image) return Fail(ExplainPath(std::move(image).error(), path));
  ResolvedSource resolved;
  resolved.path = (*image)->root();
  resolved.display_name = DisplayName(resolved.path);
  resolved.image = *std::move(image);
  PGS_TRY(RequirePlainBackup(*resolved.image, resolved.path, path));
  PGS_TRY(RequireUnused(resolved, request));
  return resolved;
}

}  // namespace

Result<ResolvedSource> Resolve(const SourceRequest& request) {
  PGS_ASSIGN(const SourceName name, ParseSourceName(request.source));
  if (name.kind == SourceKind::kName) return NoSuchName(request.source, name.rest);
  if (name.kind != SourceKind::kDirectory) {
    return Fail(ErrorCode::kUnsupported, Quoted(request.source) + ": this version opens directories; " +
                                             std::string(KindInWords(name.kind)) + " are not supported");
  }
  PGS_ASSIGN(ResolvedSource resolved, ResolveDirectory(name.rest, request));
  for (const auto& directory : request.wal_directories) {
    auto archive = image::OpenWalDirectory(directory);
    if (!archive) return Fail(std::move(archive).error().Wrap("--wal"));
    resolved.wal_archives.push_back(*std::move(archive));
  }
  return resolved;
}

}  // namespace pgstrata::source
