// Appending to the log of one layer. Records get their place at once, in memory; one thread at a time writes and syncs
// what has gathered, for all who wait (group commit).
//
// What always holds: the file holds a prefix of what was appended, as far as durable_; what follows durable_ is in
// memory, and is written again from its first byte at each attempt. So a full disk or a failed sync loses nothing that
// the process knows.
//
// Locks: mutex_ is a leaf. Nobody holds it while the file is written.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "volume/layer/layer_storage.h"
#include "volume/layer/log_format.h"

namespace pgstrata::layer {

// Safe from several threads.
class LayerLog {
 public:
  // `end` is where the durable part of `file` ends.
  LayerLog(std::shared_ptr<StorageFile> file, const LogHeader& header, uint64_t end)
      : file_(std::move(file)), header_(header), end_(end), durable_(end) {}

  // Returns the position behind the record.
  uint64_t Append(const Record& record);
  // Everything before `position` is durable, or an error; what could not be written is tried again by the next call.
  Status SyncTo(uint64_t position);
  [[nodiscard]] bool IsDurable(uint64_t position) const;
  [[nodiscard]] uint64_t end() const;
  // How much of it is in memory only.
  [[nodiscard]] uint64_t waiting() const;
  [[nodiscard]] const LogHeader& header() const { return header_; }
  // The header says so from now on. kSealed: the last record is durable and a Seal. kClean: the data files are durable.
  enum class Mark { kSealed, kClean };
  Status SetMark(Mark mark);

 private:
  // With the syncing_ that the caller took.
  Status Write(uint64_t from, ByteView bytes);

  const std::shared_ptr<StorageFile> file_;
  LogHeader header_;
  uint64_t allocated_ = 0;  // disk space is reserved up to here; whoever has syncing_ uses it

  mutable std::mutex mutex_;
  std::condition_variable synced_;
  // Guarded by mutex_:
  uint64_t end_;
  uint64_t durable_;
  bool syncing_ = false;
  std::string fresh_;    // what was appended since somebody last began to write
  std::string writing_;  // what lies between durable_ and fresh_; whoever has syncing_ uses it without the lock
};

}  // namespace pgstrata::layer
