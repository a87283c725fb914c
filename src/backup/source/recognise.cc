#include "backup/source/recognise.h"

#include <string_view>

#include "backup/source/pgbackrest_source.h"
#include "backup/source/probackup_source.h"
#include "foundation/base/text.h"
#include "postgres/pgdata/control_file.h"

namespace pgstrata::source {
namespace {

constexpr std::string_view kVersionFile = "PG_VERSION";

std::unexpected<Error> NotABackup(const std::string& typed, std::string_view lacking) {
  return Fail(Error(ErrorCode::kInvalidArgument,
                    Quoted(typed) + " is not a PostgreSQL backup: there is no " + std::string(lacking) + " in it")
                  .WithHint("name a directory that holds PG_VERSION and global/pg_control, or base.tar: a backup made "
                            "with pg_basebackup, or a copy of a data directory; or a backup in a catalog of "
                            "pg_probackup or pgBackRest"));
}

}  // namespace

SourceKind Recognise(const std::string& path) {
  if (IsProbackupPath(path)) return SourceKind::kPgProbackup;
  if (IsPgbackrestPath(path)) return SourceKind::kPgbackrest;
  return SourceKind::kDirectory;
}

Status RequirePlainBackup(const image::Image& image, const std::string& typed) {
  for (const std::string_view needed : {kVersionFile, pgdata::kControlFilePath}) {
    PGS_ASSIGN(const std::string path, image::FollowLinks(image, needed));
    const auto entry = image.Stat(path);
    if (entry && entry->kind == image::EntryKind::kFile) continue;
    if (!entry && entry.error().code() != ErrorCode::kNotFound) return Fail(entry.error());
    return NotABackup(typed, needed);
  }
  return {};
}

}  // namespace pgstrata::source
