// The threads that take requests, from the device or from the queues of FUSE over io_uring, and answer them. Private to
// this room.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "foundation/base/error.h"
#include "volume/fuse/operations.h"
#include "volume/fuse/request_source.h"
#include "volume/fuse/request_statistics.h"
#include "volume/fuse/session.h"

namespace pgstrata::fuse {

class RequestLoop {
 public:
  // Makes `session` read from and reply to `device`, which it owns from now on. Once, before a loop is made for it.
  static void UseDevice(fuse_session* session, int device);
  // `session` has its device and outlives the loop; `most_threads` >= 1.
  RequestLoop(fuse_session* session, unsigned most_threads);
  ~RequestLoop();

  // Reads INIT and answers it, on the calling thread. Once, before Run.
  Status AnswerInit(TransportChoice choice);
  // What was agreed on.
  [[nodiscard]] Transport transport() const { return queues_.empty() ? Transport::kDevice : Transport::kIoUring; }
  // Until the connection ends or Stop is called. Called once. Takes the process's SIGURG.
  Status Run();
  // From any thread, before, during or after Run.
  void Stop();
  // Of the requests that Run has answered. From any thread.
  RequestCounters& counters() { return counters_; }

 private:
  // Threads that take requests from one place.
  struct Crew {
    std::optional<uint16_t> queue;  // none: the device
    unsigned most_threads = 1;
    std::atomic<unsigned> idle = 0;  // threads that wait for a request
    // Guarded by mutex_:
    unsigned running = 0;
    std::unique_ptr<RequestSource> first;  // for its first thread, where it was made before
  };
  struct Worker {
    std::thread thread;
    bool finished = false;  // guarded by mutex_
  };

  Status MakeQueues();
  Status StartCrews();  // mutex_ held
  void WaitForThreads(std::unique_lock<std::mutex>& lock);
  Status StartWorker(Crew& crew);  // mutex_ held
  [[nodiscard]] Result<std::unique_ptr<RequestSource>> MakeSource(Crew& crew) const;
  void WorkerMain(Worker& worker, Crew& crew, RequestSource& source);
  void ServeRequests(Crew& crew, RequestSource& source);
  void RequestTaken(Crew& crew);  // starts another thread when nobody is left to listen
  bool RequestDone(Crew& crew);   // false: enough others listen, this thread may end
  void End(int error_number);
  void JoinFinished();  // mutex_ held

  fuse_session* const session_;
  RequestCounters counters_;
  Crew device_;
  std::list<Crew> queues_;  // one for each processor, or none; constant once INIT is answered

  std::atomic<bool> ended_ = false;  // set under mutex_

  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_:
  std::list<Worker> workers_;
  int error_ = 0;  // why it ended, when it was neither unmounted nor stopped
};

}  // namespace pgstrata::fuse
