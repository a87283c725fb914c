// The private directory of one `open`: everything that it creates lies here, so that removing it leaves nothing behind.
//
//   lock              held (flock) by the command and by its worker; a directory whose lock is free is a leftover
//   source            what was opened, for `doctor`
//   mnt/              the mount: PGDATA
//   layer/            changed blocks
//   postgresql.conf pg_hba.conf pg_ident.conf psqlrc
//   server.log worker.log
//   server.pid        external_pid_file of the postmaster
//   socket            a link to the socket directory, where this directory's own path is too long for a socket
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "foundation/base/error.h"
#include "foundation/io/lock.h"
#include "foundation/io/process.h"

namespace pgstrata::branch {

class SessionDirectory {
 public:
  // Makes a new one below SessionsDirectory(home), with the directories above it, owned by `owner`.
  static Result<SessionDirectory> Create(const std::string& home, const io::UserIdentity& owner,
                                         std::string_view source);

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string mountpoint() const { return path_ + "/mnt"; }
  [[nodiscard]] std::string layer() const { return path_ + "/layer"; }
  [[nodiscard]] std::string server_log() const { return path_ + "/server.log"; }
  [[nodiscard]] std::string worker_log() const { return path_ + "/worker.log"; }
  [[nodiscard]] std::string File(std::string_view name) const { return path_ + '/' + std::string(name); }
  // Where the server's socket lies: short enough for sockaddr_un.
  [[nodiscard]] const std::string& socket_directory() const { return socket_directory_; }

  // Writes a file that `owner` can read.
  Status WriteFile(std::string_view name, std::string_view content) const;

 private:
  std::string path_;
  std::string socket_directory_;
  io::UserIdentity owner_;
  io::FileLock lock_;
};

// Ends a server that was started on the session directory at `path`, if one still runs; then takes the mount away, then
// the directory. Used at the end of every session, by a worker whose command died, and by `doctor --repair`.
Status EndServerOf(const std::string& path);
Status UnmountSession(const std::string& path);
Status RemoveSession(const std::string& path);

// A session directory whose command and worker are both gone.
struct Leftover {
  std::string path;
  std::string source;
  bool mounted = false;
  std::optional<pid_t> server;  // the postmaster that still runs on it
};
Result<std::vector<Leftover>> FindLeftovers(const std::string& home);
// Ends, unmounts and removes.
Status Repair(const Leftover& leftover);

}  // namespace pgstrata::branch
