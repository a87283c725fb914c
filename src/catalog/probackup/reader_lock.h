// pg_probackup's lock for readers: backup_ro.pid lists the processes that read a backup, and what merges or deletes it
// waits for them. The only thing that is ever written to a catalog.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "foundation/base/error.h"

namespace pgstrata::probackup {

// Safe from several threads.
class ReaderLock {
 public:
  // Registers this process with the backups in these directories. Where a directory may not be written to, the backup
  // is read without a lock. kBusy: a process that changes a backup holds its exclusive lock, for longer than a moment.
  static Result<std::unique_ptr<ReaderLock>> Take(std::vector<std::string> backups);
  ReaderLock(const ReaderLock&) = delete;
  ReaderLock& operator=(const ReaderLock&) = delete;
  // Takes back what this process registered; what a process that forked from it registered stays.
  ~ReaderLock();

  // A process that was forked from the one that registered registers too, at the first call. Costs one system call.
  void KeepForThisProcess();
  // What the destructor does, for a process that ends without it. The last call.
  void Release();

 private:
  explicit ReaderLock(std::vector<std::string> backups) : backups_(std::move(backups)) {}
  Status Register();

  const std::vector<std::string> backups_;
  std::atomic<pid_t> holder_ = 0;
  std::mutex mutex_;
};

}  // namespace pgstrata::probackup
