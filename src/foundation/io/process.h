// Child processes: started with an exact environment and exact descriptors, awaited by pidfd, so that a reused pid is
// never signalled.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <csignal>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "foundation/base/error.h"
#include "foundation/io/fd.h"
#include "foundation/io/write_restriction.h"

namespace pgstrata::io {

using Environment = std::map<std::string, std::string>;
// The calling process's environment.
Environment CurrentEnvironment();

struct UserIdentity {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
  std::string home;
};
// By name; kNotFound with a hint when there is no such user.
Result<UserIdentity> FindUser(const std::string& name);
Result<UserIdentity> CurrentUser();

struct SpawnOptions {
  std::vector<std::string> argv;           // argv[0] is looked up in PATH unless it holds a slash
  std::optional<Environment> environment;  // default: inherited
  std::optional<UserIdentity> user;        // become this user (with its groups) before exec; needs root
  std::string working_directory;           // default: inherited
  // Descriptors of the child's standard streams; -1 is /dev/null, kInherit keeps ours. Of the others the child gets
  // those that were passed to us, or, where that is given, those that `keep_open` names and no more.
  static constexpr int kInherit = -2;
  int standard_input = kInherit;
  int standard_output = kInherit;
  int standard_error = kInherit;
  // For what outlives the command: a descriptor of the caller's, a lock or a pipe's end, would be held for as long.
  std::optional<std::vector<int>> keep_open;  // default: what was passed to us
  bool new_session = false;                   // setsid: away from the terminal's signals
  // In a network namespace of its own, with loopback only; Unix sockets in the file system work across it. Without root
  // also in a user namespace, as the same user. Fails where CanIsolateNetwork() is false.
  bool without_network = false;
  // What it and all that it starts may write (write_restriction.h). Fails where WriteRestriction::IsPossible() is
  // false.
  std::optional<WriteRestriction> may_write;  // default: whatever its user may
  int signal_when_parent_dies = 0;            // PR_SET_PDEATHSIG; 0 is none
};

// How a process ended.
struct ExitStatus {
  int code = 0;    // exit status, when signal is 0
  int signal = 0;  // the signal that ended it
  // As a shell says it: code, or 128 + signal.
  [[nodiscard]] int AsShell() const { return signal != 0 ? 128 + signal : code; }
};

// A child. Move-only; destruction does not end it.
class Process {
 public:
  Process() = default;
  static Result<Process> Spawn(const SpawnOptions& options);
  // Watches a process that runs already: a child made by fork(), or a stranger, whose exit status then stays unknown
  // (0).
  static Result<Process> Adopt(pid_t pid);

  // Waits at most `timeout` (forever when empty); nothing when it still runs. After the first answer, answers the same.
  Result<std::optional<ExitStatus>> Wait(std::optional<std::chrono::milliseconds> timeout = std::nullopt);
  Status Signal(int signal);
  // `first`, then SIGKILL after `grace`; returns when it is gone.
  Status End(int first, std::chrono::milliseconds grace);

  [[nodiscard]] pid_t pid() const { return pid_; }
  // Readable when the process has ended (for poll).
  [[nodiscard]] int pidfd() const { return pidfd_.get(); }
  [[nodiscard]] bool valid() const { return pid_ > 0; }

 private:
  pid_t pid_ = -1;
  UniqueFd pidfd_;
  std::optional<ExitStatus> status_;
};

// Runs to the end and returns what it wrote. A program that failed is no error here: the caller looks at `status`.
struct Captured {
  ExitStatus status;
  std::string standard_output;
  std::string standard_error;
};
Result<Captured> RunAndCapture(SpawnOptions options);

// Whether SpawnOptions::without_network works here.
bool CanIsolateNetwork();

// The file that `name` stands for in PATH, or as it is when it holds a slash; nothing if not executable.
std::optional<std::string> FindInPath(const std::string& name);

}  // namespace pgstrata::io
