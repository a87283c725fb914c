// The bounded table of open files that all inodes of a volume share. No inode owns a descriptor: it owns a CachedFile,
// which is opened when it is needed and closed again, the least recently used first, when there are too many.
//
// A file in use is never closed: Pin returns a shared pointer that keeps it open. At most `limit` files are open, and
// one more for each request in progress.
//
// Locks: a CachedFile's mutex_ may be held when OpenFiles::mutex_ is taken, never the other way round: the table only
// tries to lock a file that it would close, and takes the next one where that fails.
#pragma once

#include <atomic>
#include <list>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <vector>

#include "foundation/base/error.h"

namespace pgstrata::layer {

class OpenFiles {
 public:
  // One place of the table.
  class Member {
   public:
    virtual ~Member() = default;

   protected:
    friend class OpenFiles;
    // Gives up the open file, or nothing when somebody is busy with it.
    virtual std::shared_ptr<const void> TryRelease() = 0;
    std::atomic<bool> recently_used_ = false;

   private:
    // Guarded by OpenFiles::mutex_:
    std::list<Member*>::iterator position_;
    bool listed_ = false;
  };

  explicit OpenFiles(size_t limit) : limit_(limit) {}

  // `member` was opened; closes others as far as there are too many.
  void Add(Member& member);
  // `member` goes away, or was closed.
  void Remove(Member& member);
  // Closes a part of what is open and not in use: the process has no descriptors left.
  void CloseSome(const Member& except);
  [[nodiscard]] size_t size() const;

 private:
  using Closed = std::vector<std::shared_ptr<const void>>;
  // Closes until `target` are left or all were tried, except `except`. What it returns is to be destroyed without a
  // lock.
  Closed Shrink(size_t target, const Member& except);

  const size_t limit_;
  mutable std::mutex mutex_;
  // Guarded by mutex_: the ring through which second chances go round; the next to be tried is in front.
  std::list<Member*> ring_;
};

// An open file of type T on demand.
template <typename T>
class CachedFile final : public OpenFiles::Member {
 public:
  explicit CachedFile(OpenFiles& table) : table_(table) {}
  ~CachedFile() override { table_.Remove(*this); }
  CachedFile(const CachedFile&) = delete;
  CachedFile& operator=(const CachedFile&) = delete;

  // The open file; `open` (Result<std::shared_ptr<T>>()) is called where it is not open.
  template <typename Open>
  Result<std::shared_ptr<T>> Pin(Open&& open) {
    {
      const std::shared_lock lock(mutex_);
      if (file_) {
        Touch();
        return file_;
      }
    }
    const std::unique_lock lock(mutex_);
    if (file_) return file_;
    Result<std::shared_ptr<T>> opened = open();
    if (!opened && (opened.error().system_errno() == EMFILE || opened.error().system_errno() == ENFILE)) {
      table_.CloseSome(*this);
      opened = open();
    }
    if (!opened) return opened;
    file_ = *opened;
    Touch();
    table_.Add(*this);
    return opened;
  }

 private:
  void Touch() {
    if (!recently_used_.load(std::memory_order_relaxed)) recently_used_.store(true, std::memory_order_relaxed);
  }
  std::shared_ptr<const void> TryRelease() override {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock.owns_lock()) return nullptr;
    return std::exchange(file_, nullptr);
  }

  OpenFiles& table_;
  std::shared_mutex mutex_;
  // Guarded by mutex_:
  std::shared_ptr<T> file_;
};

}  // namespace pgstrata::layer
