// Whether a running server uses what is to be opened.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "backup/image/image.h"
#include "foundation/base/error.h"

namespace pgstrata::source {

struct RunningServer {
  pid_t pid = 0;              // as seen from here
  std::string linked_part;    // "pg_wal", "tablespace 16384": only that, through a link; empty: the directory itself
  std::string part_location;  // the native directory that the link leads to
};

// Reads postmaster.pid of the directory and looks at that process. It counts when its working directory is this
// directory (a server's always is). Where that may not be read, a living "postgres" counts, unless postmaster.pid names
// another directory that exists: then this one is a copy of it. Where it is another process, every server process of
// this machine is looked at: one in a container writes the id that it has in there. A stale postmaster.pid, left by a
// crash or copied along, is no server, and without a postmaster.pid nothing is looked for. What cannot be known from
// here: servers of other machines, of pid namespaces that /proc does not show, and of other users unless we are root.
Result<std::optional<RunningServer>> FindServerUsing(const std::string& directory);

// A plain copy of a data directory has the links of the original, which lead to the original's tablespaces and WAL.
// Looks for a server process that has one of the directories that the image shows in place of its links as a tablespace
// or as pg_wal of its own. Costs nothing where there are no such links. Unknown stay the same servers as above.
Result<std::optional<RunningServer>> FindServerBehindLinks(const image::Image& image);

// kBusy, for a source that the user knows as `name`: what the server uses and what to do.
Error InUseError(const RunningServer& server, const std::string& name);

}  // namespace pgstrata::source
