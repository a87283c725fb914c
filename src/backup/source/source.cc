#include "backup/source/source.h"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

#include "backup/image/wal_directory.h"
#include "backup/source/base_backup_source.h"
#include "backup/source/pgbackrest_source.h"
#include "backup/source/probackup_source.h"
#include "backup/source/recognise.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"

namespace pgstrata::source {
namespace {

std::unexpected<Error> NoSuchName(const std::string& typed, const std::string& name) {
  Error error(ErrorCode::kNotFound, "there is no source named " + Quoted(name));
  for (const auto& directory : {typed, name}) {
    if (!io::IsDirectory(directory)) continue;
    return Fail(std::move(error).WithHint("to open the directory of that name, write " + Quoted("./" + directory)));
  }
  return Fail(
      std::move(error).WithHint("this version opens directories; name one with a slash: " + Quoted("./" + name)));
}

std::string Printable(std::string text) {
  for (char& c : text) {
    if (c < ' ' || c == '\x7F') c = '?';
  }
  return text;
}

std::unexpected<Error> NotOpened(const std::string& typed, std::string_view kind) {
  return Fail(ErrorCode::kUnsupported, Quoted(typed) + ": this version opens directories, tar files and catalogs; " +
                                           std::string(kind) + " are not supported");
}

Result<ResolvedSource> ResolveByKind(const SourceName& name, const SourceRequest& request) {
  switch (name.kind) {
    case SourceKind::kDirectory:
    case SourceKind::kTar:
      return ResolveBaseBackup(name, request);
    case SourceKind::kPgProbackup:
      return ResolveProbackup(name.rest, request);
    case SourceKind::kPgbackrest:
      return ResolvePgbackrest(name.rest, request);
    case SourceKind::kName:
      return NoSuchName(request.source, name.rest);
    case SourceKind::kStore:
      return NotOpened(request.source, "store sources");
    case SourceKind::kBranch:
      return NotOpened(request.source, "branch sources");
    case SourceKind::kServer:
      return NotOpened(request.source, "live servers");
    case SourceKind::kStandardInput:
      break;
  }
  return NotOpened(request.source, "backups from standard input");
}

}  // namespace

Result<ResolvedSource> Resolve(const SourceRequest& request) {
  PGS_ASSIGN(SourceName name, ParseSourceName(request.source));
  if (name.kind == SourceKind::kDirectory) name.kind = Recognise(name.rest);
  PGS_ASSIGN(ResolvedSource resolved, ResolveByKind(name, request));
  if (auto cost = resolved.image->CostOfFirstTouch(); cost.files > 0) resolved.first_touch = std::move(cost);
  resolved.display_name = Printable(std::move(resolved.display_name));
  std::vector<std::unique_ptr<image::WalArchive>> archives;
  for (const auto& directory : request.wal_directories) {
    auto archive = image::OpenWalDirectory(directory);
    if (!archive) return Fail(std::move(archive).error().Wrap("--wal"));
    archives.push_back(*std::move(archive));
  }
  std::ranges::move(resolved.wal_archives, std::back_inserter(archives));
  resolved.wal_archives = std::move(archives);
  return resolved;
}

}  // namespace pgstrata::source
