// A lock on native storage that a server holds, with all that it starts: a worker that died takes the mount away,
// but its server goes on (it may acknowledge thousands of commits), and nothing may be mounted anew beside it.
#pragma once

#include <string>

#include "foundation/base/error.h"
#include "foundation/io/fd.h"

namespace pgstrata::branch {

class ServerLock {
 public:
  // Waits for the processes of an earlier server to be gone, and kills those that stay. kBusy where they cannot be
  // killed.
  static Result<ServerLock> Acquire(const std::string& path);
  // For the server to keep open: it is held until the last process that has it has ended.
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  io::UniqueFd fd_;
};

}  // namespace pgstrata::branch
