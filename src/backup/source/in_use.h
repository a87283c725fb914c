// Whether a running server has a data directory open.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "foundation/base/error.h"

namespace pgstrata::source {

struct RunningServer {
  pid_t pid = 0;
};

// Reads postmaster.pid of the directory and looks at that process. It counts when its working directory is this
// directory (a server's always is). Where that may not be read, a living "postgres" counts, unless postmaster.pid names
// another directory that exists: then this one is a copy of it. A stale postmaster.pid, left by a crash or copied
// along, is no server. What cannot be known from here: servers of other machines and of other pid namespaces.
Result<std::optional<RunningServer>> FindServerUsing(const std::string& directory);

}  // namespace pgstrata::source
