// The threads that read requests from /dev/fuse and answer them. Private to this room.
#pragma once

#include <atomic>
#include <condition_variable>
#include <list>
#include <mutex>
#include <thread>

#include "foundation/base/error.h"
#include "foundation/io/fd.h"
#include "volume/fuse/operations.h"
#include "volume/fuse/request_statistics.h"

namespace pgstrata::fuse {

class RequestLoop {
 public:
  // Makes `session` read from and reply to `device`, which it owns from now on. Once, before a loop is made for it.
  static void UseDevice(fuse_session* session, int device);
  // `session` has its device and outlives the loop; `most_threads` >= 1.
  RequestLoop(fuse_session* session, unsigned most_threads);
  ~RequestLoop();

  // Reads and answers one request on the calling thread.
  Status ServeOne();
  // Until the connection ends or Stop is called. Called once. Takes the process's SIGURG.
  Status Run();
  // From any thread, before, during or after Run.
  void Stop();
  // Of the requests that Run has answered. From any thread.
  RequestCounters& counters() { return counters_; }

 private:
  struct Worker {
    std::thread thread;
    bool finished = false;  // guarded by mutex_
  };

  Status StartWorker();  // mutex_ held
  void WorkerMain(Worker& worker, int device);
  void ServeRequests(int device);
  void GiveUp();
  void RequestTaken();  // starts another thread when nobody is left to listen
  bool RequestDone();   // false: enough others listen, this thread may end
  void End(int error_number);
  void JoinFinished();  // mutex_ held

  fuse_session* const session_;
  const unsigned most_threads_;
  RequestCounters counters_;
  std::atomic<unsigned> idle_ = 0;  // threads that wait for a request

  std::atomic<bool> ended_ = false;  // set under mutex_

  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_:
  std::list<Worker> workers_;
  unsigned running_ = 0;
  int error_ = 0;  // why it ended, when it was neither unmounted nor stopped
};

}  // namespace pgstrata::fuse
