// `mount`: a backup as a writable directory, for those who start PostgreSQL themselves. No server is started here.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backup/image/image.h"
#include "backup/image/wal_archive.h"
#include "branch/branch/moment.h"
#include "foundation/base/error.h"
#include "volume/fuse/mount.h"
#include "volume/worker/kept_worker.h"

namespace pgstrata::branch {

struct MountRequest {
  std::shared_ptr<const image::Image> image;
  std::vector<std::unique_ptr<image::WalArchive>> wal_archives;
  std::optional<MomentRequest> at = {};   // of a new diff directory; one that goes on has its own
  std::string source_given;               // as typed
  std::string source_name;                // what names it again, from any working directory
  std::string source_path;                // absolute, resolved
  std::vector<std::string> source_older;  // what the source stands on besides, absolute, resolved
  std::vector<std::string> wal;           // the directories of wal_archives, absolute
  std::vector<std::string> chain;         // source_older, where it was named; else it is looked for again
  std::string cipher_pass_file;           // absolute, or empty
  std::string mountpoint;                 // an existing directory
  std::string diff_directory;             // made if it is missing; empty: read-only
  std::string user;           // who owns what is shown; empty: as before, else postgres for root, else oneself
  bool allow_other = false;   // always for root, where another user is the owner
  bool force = false;         // also a diff directory that bears the mark of a mount with unsafe_syncs
  bool unsafe_syncs = false;  // layer::StackOptions; the diff directory is marked until an end in order
  bool no_wal = false;        // pg_wal is kept nowhere, and the diff directory can never be mounted again
  std::string log_file;       // empty: worker.log in the diff directory
  worker::LogStyle log_style = {};
  bool moved = false;            // the source was moved since the diff directory was made
  bool end_with_caller = false;  // see KeptWorkerOptions
  std::chrono::milliseconds timeout = std::chrono::seconds(30);
};

struct MountedBackup {
  worker::KeptWorker worker;
  std::string mountpoint;  // absolute, resolved
  std::string directory;   // that of the changes; of a read-only mount one of its own below the home
  std::string control_socket;
  std::string description;            // "PostgreSQL 15, online backup of 2026-11-20 21:05:39 UTC"
  std::vector<std::string> warnings;  // as in Moment
  bool continued = false;             // with the changes of an earlier mount
};

// Mounts with a kept worker. The caller has one thread. What a new diff directory gets once, before anything is shown
// (docs/commands/mount.md): the edits of safety.h and, at the end of postgresql.auto.conf, the settings that keep a
// server from reaching production. A mount that is read-only shows the backup as it is.
// kInvalidArgument for a diff directory of another source and for directories that lie in each other; kBusy where the
// diff directory or the mountpoint is in use, or a server survived the mount's process; kMissingWal where a new mount
// could not become consistent; kCorrupt for a diff directory that is marked, without `force`, and for one that was
// mounted with no_wal.
Result<MountedBackup> MountBackup(const MountRequest& request);

// Removes what the mount of a process that has died left in `directory` (its fsname): the socket, and of a read-only
// mount the directory. Nothing where another process uses it by now.
void TidyAfterDeadWorker(const std::string& directory);

// The mounts of MountBackup whose process has died: they answer errors and nothing else.
Result<std::vector<fuse::MountEntry>> FindDeadMounts();
// Takes such a mount away, and what its process left. An error where somebody still uses it.
Status RemoveDeadMount(const fuse::MountEntry& mount);

}  // namespace pgstrata::branch
