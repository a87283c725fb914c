// A PostgreSQL server started directly (not by pg_ctl, which polls every 100 ms), watched by pidfd, and ended without
// leaving a process, a shared memory segment or a socket behind.
#pragma once

#include <chrono>
#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "foundation/base/error.h"
#include "foundation/io/process.h"
#include "postgres/client/connection.h"
#include "postgres/instance/diagnosis.h"
#include "postgres/instance/settings.h"

namespace pgstrata::instance {

struct ServerOptions {
  std::string bin_directory;
  std::string data_directory;    // absolute
  std::string config_file;       // empty: data_directory's own
  std::string log_file;          // appended to; created if missing
  std::string socket_directory;  // absolute, and 90 bytes at most (a socket's path has 107)
  int port = 5432;
  std::optional<io::UserIdentity> user;  // become this user; needed as root
  Settings settings;  // by -c: they beat every file. They may change all but where the server listens
  io::Environment environment = io::CurrentEnvironment();  // every PG variable is removed from it
  // The server gets no network, loopback of its own aside, so that nothing that it runs reaches another server; where
  // this machine never allows that, it starts with the network and isolated() says so; where it fails otherwise, the
  // server does not start.
  bool without_network = false;
  // Directories that the server may write with all below, besides its own, those for temporary files and devices; where
  // this kernel does not allow that, it may write whatever its user may, and confined() says so. Empty: no restriction.
  std::vector<std::string> may_write_only;
  // The server is stopped at once (SIGQUIT) when the thread that started it ends.
  bool stop_when_parent_dies = false;
  std::vector<int> keep_open;  // descriptors that the server and all that it starts hold; no others are passed on
};

enum class StopMode {
  kFast,       // SIGINT: rolls back, writes a shutdown checkpoint
  kImmediate,  // SIGQUIT: as after a crash; for what is thrown away
};

// What postmaster.pid says.
struct PostmasterFile {
  pid_t pid = 0;
  std::string status;  // "starting", "stopping", "ready", "standby"; empty early on
  long shared_memory_key = 0;
  int shared_memory_id = -1;
};
std::optional<PostmasterFile> ParsePostmasterFile(std::string_view text);

// Move-only. Destruction stops the server (immediate), unless it was released.
class Server {
 public:
  Server() = default;
  // Starts `postgres` in a session of its own, input from /dev/null, output to the log file, logging and messages in
  // English to standard error, listening on the one Unix socket only. It is marked to be ended before other programs
  // when the machine runs out of memory. Returns before the server is ready.
  static Result<Server> Start(ServerOptions options);
  Server(Server&& other) noexcept;
  Server& operator=(Server&& other) noexcept;
  ~Server();

  [[nodiscard]] const ServerOptions& options() const { return options_; }
  [[nodiscard]] pid_t pid() const { return process_.pid(); }
  // Readable once the server has ended.
  [[nodiscard]] int pidfd() const { return process_.pidfd(); }
  // Whether it was started, and neither stopped nor released since.
  [[nodiscard]] bool owned() const { return owned_; }
  // Whether it was started without a network.
  [[nodiscard]] bool isolated() const { return isolated_; }
  // Where that was wanted and this machine does not allow it.
  [[nodiscard]] const std::string& why_not_isolated() const { return why_not_isolated_; }
  // Whether what it may write is restricted.
  [[nodiscard]] bool confined() const { return confined_; }
  // What the server has logged since Start (its last MiB at most).
  [[nodiscard]] std::string Log() const;
  // How it ended, if it has.
  Result<std::optional<io::ExitStatus>> TryWait();
  // From when the first returns until the second is called, whoever connects waits, and so does a parallel query for
  // its workers; else connections that stand work on.
  Status HoldConnections();
  Status AdmitConnections();
  // Leaves the server running when this object ends.
  void Release() { owned_ = false; }

 private:
  friend Status StopServer(Server& server, StopMode mode, std::chrono::milliseconds grace);
  friend class ReadinessWait;

  ServerOptions options_;
  io::Process process_;
  uint64_t log_start_ = 0;                    // size of the log file before the start
  std::optional<PostmasterFile> postmaster_;  // as last read while it was starting
  bool owned_ = false;
  bool isolated_ = false;
  std::string why_not_isolated_;
  bool confined_ = false;
};

struct WaitOptions {
  std::optional<std::chrono::milliseconds> timeout;  // none: for as long as the server lives (recovery has no bound)
  int cancel_fd = -1;                                // ends the wait with kCancelled once readable; -1 is none
  // Called every 500 ms with the time waited so far and the last line of the server's log.
  std::function<void(std::chrono::milliseconds waited, std::string_view last_log_line)> progress;
  // Called when the server, ready, has begun to serve the connection that is waited for: who connects from now on comes
  // after it.
  std::function<void()> on_taken;
  // Called after that when there is no connection after all, before another attempt and before the wait ends.
  std::function<void()> on_lost;
};

// Waits until the server accepts a connection with `parameters` (socket and port are filled in from the server) and
// returns it. Looks every millisecond, without disturbing the server: as long as postmaster.pid says that it is
// starting, nothing is sent to it. A server that dies is noticed at once. On any error but kRoleOrDatabase the caller
// should stop the server; after kRoleOrDatabase it may connect with other parameters.
std::expected<client::Connection, StartError> WaitUntilReady(Server& server, client::ConnectionParameters parameters,
                                                             const WaitOptions& options = {});

// Ends the server: asks in `mode`, and after `grace` kills the postmaster and all its children. When it returns, also
// when the postmaster had died before, no process of the server is left, and after a kill no shared memory of its own
// either.
Status StopServer(Server& server, StopMode mode, std::chrono::milliseconds grace = std::chrono::seconds(5));

// The processes of any server of `data_directory`, dead postmaster or not: those called "postgres" that work in it (a
// server's processes do). Only those of our own user, unless root.
std::vector<pid_t> FindServerProcesses(const std::string& data_directory);
// Kills them, waits until they are gone, and removes shared memory that postmaster.pid names. For what a killed session
// left behind; nothing to do is success.
Status EndServerProcesses(const std::string& data_directory);

}  // namespace pgstrata::instance
