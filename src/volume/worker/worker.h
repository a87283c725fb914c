// The process that serves one throwaway volume: forked, never exec'ed, and it does not outlive its parent.
//
// It ends when the parent says so or dies, on SIGTERM, or when its mount is removed from outside. Nothing that is dirty
// in the page cache is written back then. When it is killed, its mount answers ENOTCONN until somebody unmounts it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "foundation/base/error.h"
#include "foundation/io/process.h"
#include "volume/fuse/started_mount.h"
#include "volume/vfs/file_system.h"

namespace pgstrata::worker {

struct WorkerOptions {
  std::string log_file;  // appended to; empty: no log
  // Descriptors without close-on-exec that the worker needs. The others without it came from outside and are closed;
  // those with it were opened by this program (a volume's files, locks) and stay, so a lock is held as long as the
  // worker lives.
  std::vector<int> keep_open;
  // Run by the worker before it says that it serves, and as the last thing whatever ended it.
  std::function<void()> on_start;
  std::function<void()> on_end;
  // Run by the worker when the parent ended without Stop. First, while the mount is still served: end who uses it.
  std::function<void()> on_parent_death;
  // Then, once it is unmounted: remove what is left of the parent's.
  std::function<void()> after_parent_death;
};

// The parent's side. Move-only; destruction is Stop with a grace of five seconds.
class Worker {
 public:
  Worker() = default;
  Worker(Worker&& other) noexcept { *this = std::move(other); }
  Worker& operator=(Worker&& other) noexcept;
  ~Worker();

  // Begins to take the mount out of sight, so that Stop need not wait for it; whoever uses it goes on until Stop.
  Status BeginToDetach();
  // Ends the worker: asks, kills after `grace`, and sees to it that its mount is gone. Whoever still uses the mount
  // gets errors. A worker that has ended is success; kBusy where not even SIGKILL ends it. Repeatable.
  Status Stop(std::chrono::milliseconds grace = std::chrono::seconds(5));

  [[nodiscard]] pid_t pid() const { return process_.pid(); }
  // Its pidfd() becomes readable when the worker has ended.
  io::Process& process() { return process_; }
  // st_dev of the mount.
  [[nodiscard]] dev_t device() const { return device_; }

 private:
  friend Result<Worker> StartWorker(vfs::FileSystem& volume, fuse::StartedMount& started, const WorkerOptions& options);

  io::Process process_;
  io::UniqueFd lifetime_;
  std::optional<io::Process> detaching_;
  std::string mountpoint_;
  dev_t device_ = 0;
};

// Forks the worker and returns once the volume is mounted, with the error of mounting if it is not. The caller has one
// thread and does not use `volume` any more: its state goes on living in the worker. `started` is given away where the
// volume is served.
Result<Worker> StartWorker(vfs::FileSystem& volume, fuse::StartedMount& started, const WorkerOptions& options);

}  // namespace pgstrata::worker
