// Serves a FileSystem through FUSE. Knows nothing of PostgreSQL; needs no descriptor or state per open file.
//
// What the kernel is told, and why:
//   - OPEN, OPENDIR, FLUSH, CREATE: ENOSYS, once per connection. Opening and closing then cost no request of their own
//     (closing still writes back what is dirty in the file: the kernel does that before it would ask for FLUSH).
//   - Write-back cache, kept over opens. The kernel owns size and modification time and computes O_APPEND's offset.
//   - Entries, attributes and absent names are valid for an hour: only this mount changes the FileSystem, so what the
//     kernel remembers is always right. Of an entry that is `passing` only the attributes are.
// A FileSystem is therefore served by one Session at a time, and changed through it only while it is served.
#pragma once

#include <memory>
#include <string>

#include "foundation/base/error.h"
#include "volume/fuse/mount.h"
#include "volume/fuse/request_statistics.h"
#include "volume/vfs/file_system.h"

namespace pgstrata::fuse {

// How requests come: from /dev/fuse, or over io_uring, on the processor that makes them (Linux 6.14 and later, where
// root has switched it on; docs/adr/0017). Nothing else about a mount depends on it.
enum class Transport { kDevice, kIoUring };
enum class TransportChoice { kFastest, kDevice };

struct MountOptions {
  std::string mountpoint;    // an existing directory
  unsigned threads = 16;     // at most, of those that read the device; they are started as they are needed
  bool allow_other = false;  // other users too; without root this needs user_allow_other in /etc/fuse.conf
  bool read_only = false;
  bool writeback = true;            // false: every write goes to the FileSystem before write(2) returns
  std::string fsname = "pgstrata";  // first column of /proc/mounts
  std::string subtype = "pgstrata";
  TransportChoice transport = TransportChoice::kFastest;
};

class StartedMount;

class Session {
 public:
  // Mounts, as root by mount(2), otherwise by fusermount3, and agrees with the kernel on the protocol; nothing that
  // touches the mount is answered before Serve runs. `file_system` outlives the session. kUnavailable or kPermission
  // with a hint where FUSE cannot be used here.
  static Result<std::unique_ptr<Session>> Mount(vfs::FileSystem& file_system, const MountOptions& options);
  // The same of a mount that was begun before. The caller, or its parent, gives it away then.
  static Result<std::unique_ptr<Session>> Mount(vfs::FileSystem& file_system, StartedMount& started);
  // Unmounts. Serve has returned, or was never called.
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Answers requests, in several threads, until the file system is unmounted, the connection is aborted, or Stop is
  // called. Called once.
  Status Serve();
  // Makes Serve return after the requests in progress; from any thread, any number of times. Whoever uses the mount
  // afterwards waits until it is unmounted or this process ends.
  void Stop();
  // Cuts the connection, so that what is dirty in the page cache is dropped and whoever uses the mount gets errors, and
  // removes the mount, whoever uses it; Serve then returns. From any thread. What was mounted by others stays.
  Status Unmount();

  // What was asked of it, since it was made or since the last reset. From any thread.
  [[nodiscard]] RequestCounters& counters() const;
  // As it was made.
  [[nodiscard]] const MountEntry& mount() const;
  [[nodiscard]] Transport transport() const;

 private:
  class Connection;

 public:
  explicit Session(std::unique_ptr<Connection> connection);

 private:
  std::unique_ptr<Connection> connection_;
};

}  // namespace pgstrata::fuse
