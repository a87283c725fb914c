// Servers that outlive the command that started them, found again by the directory of their files: its name stands in
// the postmaster's command line, so that a process id that was given out again is never taken for it.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "foundation/base/error.h"

namespace pgstrata::branch {

struct LeftServer {
  std::string directory;       // of the server's own files: some argument of its command line lies below it
  std::string pid_file;        // external_pid_file
  std::string data_directory;  // the mountpoint
};

// The postmaster, where one runs.
std::optional<pid_t> FindPostmaster(const LeftServer& left);
// Ends it and all its processes, without a checkpoint; for this the mount may be dead. Nothing there is success.
Status EndServer(const LeftServer& left);

}  // namespace pgstrata::branch
