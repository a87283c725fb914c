// Signals as something to poll: a command that has to clean up blocks them and reads them when it is ready to.
#pragma once

#include <optional>

#include "foundation/base/error.h"
#include "foundation/io/fd.h"

namespace pgstrata::cli {

struct ReceivedSignal {
  int number = 0;
  bool from_terminal = false;  // sent by the kernel to the whole foreground group: children have it too
};

// Blocks SIGINT, SIGTERM, SIGHUP and SIGQUIT for this thread and its later threads; children get them back (io::Process
// resets the mask).
class SignalQueue {
 public:
  static Result<SignalQueue> Create();
  // Readable while a signal waits.
  [[nodiscard]] int fd() const { return fd_.get(); }
  // Nothing when none waits.
  std::optional<ReceivedSignal> Take();

 private:
  io::UniqueFd fd_;
};

}  // namespace pgstrata::cli
