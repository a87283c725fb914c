// A kept worker's own life, in its process. Private to this room.
#pragma once

#include <sys/types.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "foundation/base/error.h"
#include "foundation/codec/json.h"
#include "foundation/io/fd.h"
#include "volume/fuse/session.h"
#include "volume/vfs/text_directory.h"
#include "volume/worker/control_server.h"
#include "volume/worker/kept_worker.h"

namespace pgstrata::worker {

class KeptService {
 public:
  KeptService(const ServedVolume& volume, const KeptWorkerOptions& options) : volume_(volume), options_(options) {}

  // Detaches, listens, mounts and serves. What fails takes back what came before it.
  Status Start(pid_t caller);
  [[nodiscard]] dev_t device() const { return session_->mount().device(); }
  // An orderly end as soon as Run is called: nobody knows of this worker.
  void EndAtOnce() { terminating_ = true; }
  [[noreturn]] void Run();

 private:
  struct QuitRequest {
    bool force = false;
    bool answered = false;
    Status result;
  };
  enum class Event { kNothing, kEnded, kQuit, kTerminate, kCallerEnded };

  Status MakeDescriptors(pid_t caller);
  std::unique_ptr<vfs::TextDirectory> MakeStatusDirectory();
  vfs::FileSystem& WithGrafts();
  Status StartThreads();
  void TakeBack();
  void Serve();
  void TendRegularly();

  Result<codec::Json> Answer(const codec::Json& request);
  [[nodiscard]] codec::Json Stat(bool reset) const;
  Result<codec::Json> Freeze(const std::string& directory);
  Result<codec::Json> Limit(const codec::Json& request);
  Result<codec::Json> Quit(bool force);

  Event WaitForEvent(int timeout_ms);
  void TryToTerminate();
  void TryToQuit();
  std::vector<QuitRequest*> TakeQuits();
  void AnswerQuits(const std::vector<QuitRequest*>& quits, const Status& result);
  Status TryUnmount(bool force);
  Status UnmountUnused();
  [[nodiscard]] Status WaitForEndOfService() const;
  [[noreturn]] void Finish(std::vector<QuitRequest*> quits, bool forced);

  const ServedVolume& volume_;
  const KeptWorkerOptions& options_;

  // Constant after Start:
  int64_t started_ = 0;  // seconds since the epoch
  io::UniqueFd caller_;  // pidfd
  io::UniqueFd signals_;
  io::UniqueFd ended_;                               // an eventfd: Serve has returned
  io::UniqueFd quit_;                                // an eventfd: there is a QuitRequest
  std::unique_ptr<vfs::TextDirectory> status_;       // with show_status
  std::unique_ptr<vfs::GraftedFileSystem> grafted_;  // where anything is shown besides
  std::unique_ptr<fuse::Session> session_;
  std::unique_ptr<ControlServer> control_;
  std::thread server_;
  std::thread tender_;

  bool terminating_ = false;  // of Run's thread
  std::string last_refusal_;  // likewise: why it could not end, for the log

  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_:
  std::vector<QuitRequest*> quits_;
  bool over_ = false;  // no further flushes, no further quits
};

}  // namespace pgstrata::worker
