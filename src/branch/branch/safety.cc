#include "branch/branch/safety.h"

#include <array>

#include "volume/vfs/path_ops.h"

namespace pgstrata::branch {
namespace {

constexpr mode_t kDirectoryMode = 0700;
constexpr mode_t kFileMode = 0600;

// Of the source's server, not of the data.
constexpr std::array kLeftOvers = {"postmaster.pid", "postmaster.opts", "recovery.conf",    "recovery.signal",
                                   "standby.signal", "tablespace_map",  "backup_label.old", "tablespace_map.old"};

// What initdb makes and may be empty in a backup. PostgreSQL makes pg_wal/archive_status itself.
constexpr std::array kDirectories = {
    "pg_commit_ts",
    "pg_dynshmem",
    "pg_logical",
    "pg_logical/mappings",
    "pg_logical/snapshots",
    "pg_multixact",
    "pg_multixact/members",
    "pg_multixact/offsets",
    "pg_notify",
    "pg_replslot",
    "pg_serial",
    "pg_snapshots",
    "pg_stat",
    "pg_stat_tmp",
    "pg_subtrans",
    "pg_tblspc",
    "pg_twophase",
    "pg_wal",
};

Status MakeMissingDirectories(vfs::FileSystem& volume, vfs::Owner owner) {
  for (const char* directory : kDirectories) {
    if (!vfs::ExistsAt(volume, directory)) PGS_TRY(vfs::MakeDirectoryAt(volume, directory, kDirectoryMode, owner));
  }
  return {};
}

Status EmptyDirectory(vfs::FileSystem& volume, const std::string& directory) {
  PGS_ASSIGN(const auto names, vfs::ListAt(volume, directory));
  for (const auto& name : names) PGS_TRY(vfs::RemoveAt(volume, directory + '/' + name));
  return {};
}

}  // namespace

Status ForgetServer(vfs::FileSystem& volume) {
  PGS_TRY(vfs::RemoveAt(volume, "postmaster.pid"));
  return vfs::RemoveAt(volume, "postmaster.opts");
}

Status MakeSafe(vfs::FileSystem& volume, RecoveryMode recovery, vfs::Owner owner) {
  for (const char* path : kLeftOvers) PGS_TRY(vfs::RemoveAt(volume, path));
  PGS_TRY(MakeMissingDirectories(volume, owner));
  PGS_TRY(EmptyDirectory(volume, "pg_replslot"));
  PGS_TRY(vfs::WriteFileAt(volume, "postgresql.auto.conf", {}, kFileMode, owner));
  if (recovery == RecoveryMode::kArchive) {
    PGS_TRY(vfs::WriteFileAt(volume, "recovery.signal", {}, kFileMode, owner));
  }
  return {};
}

}  // namespace pgstrata::branch
