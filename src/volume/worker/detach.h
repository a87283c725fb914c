// Turning a fresh fork of the command line into a process of its own. Private to this room.
#pragma once

#include <string>
#include <vector>

#include "foundation/base/error.h"

namespace pgstrata::worker {

// Own session, name "pgstrata-worker", root directory, /dev/null as standard streams, default signal dispositions
// except that SIGINT, SIGHUP and SIGPIPE are ignored; only SIGTERM is blocked. Closes every descriptor without
// close-on-exec that `keep_open` does not name.
Status Detach(const std::vector<int>& keep_open);

}  // namespace pgstrata::worker
