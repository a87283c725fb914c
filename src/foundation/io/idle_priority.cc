#include "foundation/io/idle_priority.h"

#include <linux/ioprio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace pgstrata::io {

Status BecomeIdle() {
  constexpr int kNicest = 19;
  if (::setpriority(PRIO_PROCESS, 0, kNicest) != 0) return FailErrno("could not take the lowest priority");
  constexpr int kIdle = IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0);
  if (::syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, kIdle) != 0) {
    return FailErrno("could not take the lowest priority for I/O");
  }
  return {};
}

}  // namespace pgstrata::io
