// The edits that make a volume safe to start a server on, done before it is mounted. They change the layer only.
#pragma once

#include "branch/branch/recovery_plan.h"
#include "foundation/base/error.h"
#include "volume/vfs/file_system.h"

namespace pgstrata::branch {

// - postmaster.pid and postmaster.opts of the source's server go (trap 26)
// - recovery.conf, recovery.signal and standby.signal go (4); archive recovery gets its own recovery.signal
// - tablespace_map goes: tablespaces are directories inside the volume, never links to where production has them (2);
//   backup_label stays (1)
// - replication slots go, the directory stays (21)
// - postgresql.auto.conf, read last of all files, becomes empty (27)
// - directories that tar and object stores lose are there (38)
Status MakeSafe(vfs::FileSystem& volume, RecoveryMode recovery, vfs::Owner owner);

// postmaster.pid and postmaster.opts go: of a server that is known to be gone, whose process id may be another's now.
Status ForgetServer(vfs::FileSystem& volume);

}  // namespace pgstrata::branch
