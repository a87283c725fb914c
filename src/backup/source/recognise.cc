#include "backup/source/recognise.h"

#include <array>
#include <optional>
#include <string_view>
#include <vector>

#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "postgres/pgdata/backup_label.h"
#include "postgres/pgdata/control_file.h"

namespace pgstrata::source {
namespace {

constexpr std::string_view kVersionFile = "PG_VERSION";

std::unexpected<Error> Unsupported(const std::string& typed, std::string_view what, std::string hint) {
  return Fail(Error(ErrorCode::kUnsupported,
                    Quoted(typed) + " is " + std::string(what) + "; this version opens plain directories only")
                  .WithHint(std::move(hint)));
}

// pg_basebackup -Ft.
std::optional<std::string> FindBaseTar(const std::string& root) {
  for (const char* name : {"base.tar", "base.tar.gz", "base.tar.lz4", "base.tar.zst"}) {
    if (io::Exists(JoinPath(root, name))) return name;
  }
  return std::nullopt;
}

// Both tools keep a file list beside or above the data: what lies below is theirs to unpack, also where its names look
// like PGDATA.
Status RefuseCatalogs(const std::string& root, const std::string& typed) {
  for (const auto& directory : {root, JoinPath(root, "..")}) {
    if (io::Exists(JoinPath(directory, "backup.control"))) {
      return Unsupported(typed, "a backup in a pg_probackup catalog", "restore it with pg_probackup, then open that");
    }
    if (io::Exists(JoinPath(directory, "backup.manifest")) && io::Exists(JoinPath(directory, "pg_data"))) {
      return Unsupported(typed, "a backup in a pgBackRest repository", "restore it with pgbackrest, then open that");
    }
  }
  return {};
}

// Its files are only what changed. A label that cannot be read is left to those who need it.
Status RefuseIncremental(const image::Image& image, const std::string& typed) {
  const auto text = image::ReadSmallFile(image, pgdata::kBackupLabelPath);
  if (!text) return {};
  const auto label = pgdata::ParseBackupLabel(*text);
  if (!label || !label->incremental_base) return {};
  return Fail(Error(ErrorCode::kUnsupported, Quoted(typed) + " is an incremental backup: alone it is not a database")
                  .WithHint("put it together with the backups that it stands on (pg_combinebackup), then open that"));
}

bool LooksLikeBackup(const std::string& root) {
  return io::Exists(JoinPath(root, kVersionFile)) && io::Exists(JoinPath(root, pgdata::kControlFilePath));
}

// The backup directly below `root`, where there is exactly one.
std::optional<std::string> FindOnlyBackupBelow(const std::string& root) {
  const auto names = io::ListDirectory(root);
  if (!names) return std::nullopt;
  std::optional<std::string> found;
  for (const auto& name : *names) {
    if (!LooksLikeBackup(JoinPath(root, name))) continue;
    if (found) return std::nullopt;
    found = name;
  }
  return found;
}

std::unexpected<Error> NotABackup(const std::string& root, const std::string& typed, std::string_view lacking) {
  Error error(ErrorCode::kInvalidArgument,
              Quoted(typed) + " is not a PostgreSQL backup: there is no " + std::string(lacking) + " in it");
  if (const auto below = FindOnlyBackupBelow(root)) {
    return Fail(std::move(error).WithHint("there is one below it: " + Quoted(JoinPath(typed, *below))));
  }
  return Fail(
      std::move(error).WithHint("name the directory that holds PG_VERSION and global/pg_control: a backup made "
                                "with pg_basebackup -Fp, or a copy of a data directory"));
}

}  // namespace

Status RequirePlainBackup(const image::Image& image, const std::string& root, const std::string& typed) {
  PGS_TRY(RefuseCatalogs(root, typed));
  for (const std::string_view needed : {kVersionFile, pgdata::kControlFilePath}) {
    PGS_ASSIGN(const std::string path, image::FollowLinks(image, needed));
    const auto entry = image.Stat(path);
    if (entry && entry->kind == image::EntryKind::kFile) continue;
    if (!entry && entry.error().code() != ErrorCode::kNotFound) return Fail(entry.error());
    if (const auto tar = FindBaseTar(root)) {
      return Unsupported(typed, "a backup in tar format (" + *tar + ")",
                         "unpack it into an empty directory and open that");
    }
    return NotABackup(root, typed, needed);
  }
  return RefuseIncremental(image, typed);
}

}  // namespace pgstrata::source
