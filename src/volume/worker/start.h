// What the starts of both kinds of workers share. Private to this room.
#pragma once

#include <sys/types.h>

#include <csignal>
#include <string>

#include "foundation/base/error.h"
#include "foundation/io/fd.h"

namespace pgstrata::worker {

// A socket pair and not a pipe: writing to a worker that has ended must not raise SIGPIPE.
struct Channel {
  io::UniqueFd parent_end;
  io::UniqueFd worker_end;
};
Result<Channel> MakeChannel();

// For a fork: the parent's handlers must not run in the child.
class AllSignalsBlocked {
 public:
  AllSignalsBlocked();
  ~AllSignalsBlocked();
  AllSignalsBlocked(const AllSignalsBlocked&) = delete;
  AllSignalsBlocked& operator=(const AllSignalsBlocked&) = delete;

 private:
  sigset_t before_{};
};

// Cuts and detaches the mount with this device number, if it is the one that is seen at `mountpoint`.
Status RemoveMountOf(const std::string& mountpoint, dev_t device);

}  // namespace pgstrata::worker
