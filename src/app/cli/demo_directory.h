// The directory of one `demo`: its clusters, and nothing of it elsewhere. Its lock is held for as long as the demo
// runs, so that `doctor` tells what a killed one left from one that runs.
#pragma once

#include <string>
#include <vector>

#include "foundation/base/error.h"
#include "foundation/io/lock.h"
#include "foundation/io/process.h"

namespace pgstrata::cli {

class DemoDirectory {
 public:
  // A new one below `home`, which is made if it is missing. The clusters' user `owner` may write in it.
  static Result<DemoDirectory> Create(const std::string& home, const io::UserIdentity& owner);

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string production() const;  // a data directory
  [[nodiscard]] std::string backup() const;
  [[nodiscard]] std::string File(std::string_view name) const;
  // Where the production server's socket lies.
  [[nodiscard]] const std::string& socket_directory() const { return socket_directory_; }

 private:
  std::string path_;
  std::string socket_directory_;
  io::FileLock lock_;
};

// Ends what runs on the clusters of a demo's directory, and removes it.
Status RemoveDemo(const std::string& path);
// The directories below `home` of demos that were killed.
Result<std::vector<std::string>> FindDemoLeftovers(const std::string& home);

}  // namespace pgstrata::cli
