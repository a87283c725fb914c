// Processes and threads as /proc shows them.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

namespace pgstrata::io {

// "/proc/4242/comm".
std::string ProcPath(pid_t process, std::string_view name);
// Empty where /proc cannot be read.
std::vector<pid_t> ListProcesses();
// Empty when the process is gone.
std::vector<pid_t> ListThreads(pid_t process);

}  // namespace pgstrata::io
