// Processes that do nothing but wait for each other are fastest on one processor: waking somebody on another one that
// idles costs 20 to 50 us, in a virtual machine on a busy host up to milliseconds; a switch on the same one costs 3.
// A server that starts on a mount asks some 200 times, and waits for each answer.
#pragma once

#include <sched.h>
#include <sys/types.h>

#include <utility>

namespace pgstrata::io {

// Keeps what a thread starts on one processor until it is freed. A wish: where the kernel does not allow it, or there
// is one processor only, nothing happens. Move-only; destruction is Leave.
class SharedProcessor {
 public:
  SharedProcessor() = default;
  // Confines the calling thread to the processor on which it runs, and with it the processes and threads that it starts
  // from now on.
  static SharedProcessor Enter();
  SharedProcessor(SharedProcessor&& other) noexcept { *this = std::move(other); }
  SharedProcessor& operator=(SharedProcessor&& other) noexcept;
  ~SharedProcessor() { Leave(); }

  // Frees the thread that entered, which calls this; what it has started stays. Repeatable.
  void Leave();
  // Frees every thread of `process` and of all processes below it; those that chose other processors themselves keep
  // them. From any thread, any number of times, also after Leave.
  void Free(pid_t process) const;

 private:
  cpu_set_t all_{};  // as before Enter
  cpu_set_t one_{};
  bool confines_ = false;  // one_ is less than all_, and processes can be freed again
  bool entered_ = false;
};

}  // namespace pgstrata::io
