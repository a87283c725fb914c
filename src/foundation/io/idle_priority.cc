#include "foundation/io/idle_priority.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace pgstrata::io {
namespace {

// As ioprio_set(2) says them: linux/ioprio.h of newer 6.1 kernels is no C++.
constexpr int kWhoIsAProcess = 1;
constexpr int kIdleClass = 3;
constexpr int kClassShift = 13;

}  // namespace

Status BecomeIdle() {
  constexpr int kNicest = 19;
  if (::setpriority(PRIO_PROCESS, 0, kNicest) != 0) return FailErrno("could not take the lowest priority");
  if (::syscall(SYS_ioprio_set, kWhoIsAProcess, 0, kIdleClass << kClassShift) != 0) {
    return FailErrno("could not take the lowest priority for I/O");
  }
  return {};
}

}  // namespace pgstrata::io
