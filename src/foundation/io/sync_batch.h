// Files and directories that become durable together.
//
// A sync is a wait for the disk, and a journalling file system writes for all who wait in one go: side by side a dozen
// of them take little longer than one. For what is made step by step and counts only when all of it is there.
#pragma once

#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "foundation/base/error.h"
#include "foundation/io/file.h"

namespace pgstrata::io {

// Add functions may be called by several threads, Run by one when they are done. What waits when the batch ends is not
// synced.
class SyncBatch {
 public:
  // Keeps the file open until then: an error of writing it back is told to who has it open. Where many wait already,
  // they are synced now, and the error may be another's.
  Status Add(File file);
  // Creates or replaces the file.
  Status AddFile(const std::string& path, std::string_view content);
  // `sync` is called at most once, from any thread.
  Status Add(std::move_only_function<Status()> sync);
  // The names that are in it when Run is called. Once, however often it is added.
  void AddDirectory(const std::string& path);

  // Everything that was added is durable, or the first error.
  Status Run();

 private:
  using Syncs = std::vector<std::move_only_function<Status()>>;
  static Status RunBeside(Syncs syncs);

  std::mutex mutex_;
  Syncs syncs_;
  std::set<std::string> directories_;
};

}  // namespace pgstrata::io
