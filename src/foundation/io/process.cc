#include "foundation/io/process.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <grp.h>
#include <net/if.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "foundation/base/text.h"

namespace pgstrata::io {
namespace {

// How long a process that was sent SIGKILL may take to be gone (it may be inside a file operation that cannot be
// interrupted).
constexpr std::chrono::milliseconds kKillPatience(10'000);

// What the child needs, prepared before fork: between fork and exec only async-signal-safe calls are made.
struct Prepared {
  std::string program;
  std::vector<char*> argv;
  std::vector<std::string> environment_text;
  std::vector<char*> environment;
  std::vector<gid_t> groups;
  std::string uid_map;
  std::string gid_map;
};

// "N N 1": this identity, and no other, keeps its number inside a user namespace.
std::string IdentityMap(unsigned id) { return fmt::format("{0} {0} 1", id); }

bool WriteText(const char* path, std::string_view text) {
  const int fd = ::open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool ok = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(fd);
  return ok;
}

bool RaiseLoopback() {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  const bool ok = ::ioctl(fd, SIOCSIFFLAGS, &request) == 0;
  ::close(fd);
  return ok;
}

// In the child: only async-signal-safe calls.
bool LeaveNetwork(const Prepared& prepared) {
  if (::geteuid() == 0) return ::unshare(CLONE_NEWNET) == 0 && RaiseLoopback();
  return ::unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 && WriteText("/proc/self/setgroups", "deny") &&
         WriteText("/proc/self/uid_map", prepared.uid_map) && WriteText("/proc/self/gid_map", prepared.gid_map) &&
         RaiseLoopback();
}

Result<Prepared> Prepare(const SpawnOptions& options) {
  if (options.argv.empty()) return Fail(ErrorCode::kInternal, "no program to start");
  const auto program = FindInPath(options.argv[0]);
  if (!program) {
    return Fail(ErrorCode::kNotFound, "could not find the program \"" + options.argv[0] + '"');
  }
  Prepared prepared;
  prepared.program = *program;
  for (const auto& argument : options.argv) prepared.argv.push_back(const_cast<char*>(argument.c_str()));
  prepared.argv.push_back(nullptr);
  const Environment environment = options.environment ? *options.environment : CurrentEnvironment();
  for (const auto& [name, value] : environment) prepared.environment_text.push_back(name + '=' + value);
  for (auto& text : prepared.environment_text) prepared.environment.push_back(text.data());
  prepared.environment.push_back(nullptr);
  prepared.uid_map = IdentityMap(::geteuid());
  prepared.gid_map = IdentityMap(::getegid());
  if (options.user) {
    int count = 64;
    prepared.groups.resize(static_cast<size_t>(count));
    if (::getgrouplist(options.user->name.c_str(), options.user->gid, prepared.groups.data(), &count) < 0) {
      prepared.groups.resize(static_cast<size_t>(count));
      ::getgrouplist(options.user->name.c_str(), options.user->gid, prepared.groups.data(), &count);
    }
    prepared.groups.resize(static_cast<size_t>(count));
  }
  return prepared;
}

bool Redirect(int from, int to, int null_flags) {
  if (from == SpawnOptions::kInherit) return true;
  if (from >= 0) return ::dup2(from, to) >= 0;
  const int null_fd = ::open("/dev/null", null_flags | O_CLOEXEC);
  return null_fd >= 0 && ::dup2(null_fd, to) >= 0;
}

// In the child: nothing but the standard streams and `kept` is open after exec.
bool KeepOnly(const std::vector<int>& kept) {
  if (::close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC) != 0) {  // before Linux 5.11, or not allowed here
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return false;
    for (rlim_t fd = STDERR_FILENO + 1; fd < limit.rlim_cur; ++fd) ::fcntl(static_cast<int>(fd), F_SETFD, FD_CLOEXEC);
  }
  return std::ranges::all_of(kept, [](int fd) { return ::fcntl(fd, F_SETFD, 0) == 0; });
}

// In the child: never returns. Writes errno to `report` if it cannot exec.
[[noreturn]] void RunChild(const SpawnOptions& options, const Prepared& prepared, int report, pid_t parent) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGQUIT, SIGCHLD}) ::signal(signal, SIG_DFL);
  bool ok = Redirect(options.standard_input, STDIN_FILENO, O_RDONLY) &&
            Redirect(options.standard_output, STDOUT_FILENO, O_WRONLY) &&
            Redirect(options.standard_error, STDERR_FILENO, O_WRONLY);
  if (ok && options.keep_open) ok = KeepOnly(*options.keep_open);
  if (ok && options.new_session) ok = ::setsid() >= 0;
  if (ok && options.without_network) ok = LeaveNetwork(prepared);
  if (ok && options.may_write) ok = options.may_write->Apply();  // before setuid: root needs not give up anything
  if (ok && options.user) {
    // Not glibc's functions, which see to it that all threads change: they would look for the parent's.
    ok = ::syscall(SYS_setgroups, prepared.groups.size(), prepared.groups.data()) == 0 &&
         ::syscall(SYS_setgid, options.user->gid) == 0 && ::syscall(SYS_setuid, options.user->uid) == 0;
  }
  // After setuid, which clears it; and a parent that died before this line would never be noticed.
  if (ok && options.signal_when_parent_dies != 0) {
    ok = ::prctl(PR_SET_PDEATHSIG, options.signal_when_parent_dies) == 0;
    if (::getppid() != parent) ::_exit(1);
  }
  if (ok && !options.working_directory.empty()) ok = ::chdir(options.working_directory.c_str()) == 0;
  if (ok) ::execve(prepared.program.c_str(), prepared.argv.data(), prepared.environment.data());
  const int problem = errno;
  [[maybe_unused]] const ssize_t written = ::write(report, &problem, sizeof problem);
  ::_exit(127);
}

ExitStatus FromWait(const siginfo_t& info) {
  if (info.si_code == 0 || info.si_code == CLD_EXITED) return {.code = info.si_status, .signal = 0};
  return {.code = 0, .signal = info.si_status};
}

// Reads both pipes until they are closed.
Status Drain(int out_fd, int err_fd, std::string& out, std::string& err) {
  std::array<pollfd, 2> polled{pollfd{out_fd, POLLIN, 0}, pollfd{err_fd, POLLIN, 0}};
  std::array<std::string*, 2> sinks{&out, &err};
  size_t open_count = polled.size();
  while (open_count > 0) {
    if (::poll(polled.data(), polled.size(), -1) < 0) {
      if (errno == EINTR) continue;
      return FailErrno("could not poll a program's output");
    }
    for (size_t i = 0; i < polled.size(); ++i) {
      if (polled[i].fd < 0 || polled[i].revents == 0) continue;
      std::array<char, 16384> buffer{};
      const ssize_t count = ::read(polled[i].fd, buffer.data(), buffer.size());
      if (count > 0) {
        sinks[i]->append(buffer.data(), static_cast<size_t>(count));
      } else if (count == 0 || errno != EINTR) {
        polled[i].fd = -1;
        --open_count;
      }
    }
  }
  return {};
}

Result<UserIdentity> FromPasswd(const passwd* entry, const std::string& shown) {
  if (entry == nullptr) {
    return std::unexpected(Error(ErrorCode::kNotFound, "there is no user \"" + shown + "\" on this machine")
                               .WithHint("name an existing user with --user"));
  }
  return UserIdentity{.name = entry->pw_name, .uid = entry->pw_uid, .gid = entry->pw_gid, .home = entry->pw_dir};
}

}  // namespace

Environment CurrentEnvironment() {
  Environment result;
  for (char** entry = ::environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const size_t equals = text.find('=');
    if (equals != std::string_view::npos) result[std::string(text.substr(0, equals))] = text.substr(equals + 1);
  }
  return result;
}

Result<UserIdentity> FindUser(const std::string& name) { return FromPasswd(::getpwnam(name.c_str()), name); }

Result<UserIdentity> CurrentUser() {
  const uid_t uid = ::geteuid();
  const passwd* entry = ::getpwuid(uid);
  if (entry == nullptr) return UserIdentity{.name = std::to_string(uid), .uid = uid, .gid = ::getegid(), .home = "/"};
  return FromPasswd(entry, std::to_string(uid));
}

Result<Process> Process::Spawn(const SpawnOptions& options) {
  PGS_ASSIGN(const Prepared prepared, Prepare(options));
  std::array<int, 2> report{};
  if (::pipe2(report.data(), O_CLOEXEC) != 0) return FailErrno("could not make a pipe");
  UniqueFd report_read(report[0]);
  UniqueFd report_write(report[1]);
  const pid_t parent = ::getpid();
  // Without the handlers of fork(3), which prepare a child that goes on to work: ThreadSanitizer's starts a thread, and
  // a process of several threads is given no user namespace.
  const pid_t pid = ::_Fork();
  if (pid < 0) return FailErrno("could not start \"" + prepared.program + '"');
  if (pid == 0) RunChild(options, prepared, report_write.get(), parent);
  report_write.Reset();
  int problem = 0;
  ssize_t count = 0;
  do {
    count = ::read(report_read.get(), &problem, sizeof problem);
  } while (count < 0 && errno == EINTR);
  if (count == static_cast<ssize_t>(sizeof problem)) {
    ::waitpid(pid, nullptr, 0);
    return Fail(Error::FromErrno(problem, "could not start \"" + prepared.program + '"'));
  }
  auto process = Adopt(pid);
  if (!process) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
  return process;
}

Result<Process> Process::Adopt(pid_t pid) {
  Process process;
  process.pid_ = pid;
  process.pidfd_ = UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!process.pidfd_.valid()) return FailErrno("could not watch process " + std::to_string(pid));
  return process;
}

Result<std::optional<ExitStatus>> Process::Wait(std::optional<std::chrono::milliseconds> timeout) {
  if (status_) return status_;
  const auto deadline = std::chrono::steady_clock::now() + timeout.value_or(std::chrono::milliseconds(0));
  while (true) {
    int wait_ms = -1;
    if (timeout) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
      wait_ms = static_cast<int>(std::max<int64_t>(left.count(), 0));
    }
    pollfd polled{pidfd_.get(), POLLIN, 0};
    const int ready = ::poll(&polled, 1, wait_ms);
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) return FailErrno("could not wait for process " + std::to_string(pid_));
    if (ready == 0) return std::nullopt;
    break;
  }
  siginfo_t info{};
  if (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED) != 0 && errno != ECHILD) {
    return FailErrno("could not wait for process " + std::to_string(pid_));
  }
  status_ = FromWait(info);
  return status_;
}

Status Process::Signal(int signal) {
  if (status_) return {};
  if (::syscall(SYS_pidfd_send_signal, pidfd_.get(), signal, nullptr, 0) != 0 && errno != ESRCH) {
    return FailErrno("could not signal process " + std::to_string(pid_));
  }
  return {};
}

Status Process::End(int first, std::chrono::milliseconds grace) {
  PGS_TRY(Signal(first));
  PGS_ASSIGN(const auto gone, Wait(grace));
  if (gone) return {};
  PGS_TRY(Signal(SIGKILL));
  PGS_ASSIGN(const auto killed, Wait(kKillPatience));
  if (killed) return {};
  return Fail(ErrorCode::kBusy, "process " + std::to_string(pid_) + " cannot be killed");
}

Result<Captured> RunAndCapture(SpawnOptions options) {
  std::array<int, 2> out{};
  std::array<int, 2> err{};
  if (::pipe2(out.data(), O_CLOEXEC) != 0) return FailErrno("could not make a pipe");
  UniqueFd out_read(out[0]);
  UniqueFd out_write(out[1]);
  if (::pipe2(err.data(), O_CLOEXEC) != 0) return FailErrno("could not make a pipe");
  UniqueFd err_read(err[0]);
  UniqueFd err_write(err[1]);
  options.standard_output = out_write.get();
  options.standard_error = err_write.get();
  PGS_ASSIGN(Process process, Process::Spawn(options));
  out_write.Reset();
  err_write.Reset();
  Captured captured;
  PGS_TRY(Drain(out_read.get(), err_read.get(), captured.standard_output, captured.standard_error));
  PGS_ASSIGN(const auto status, process.Wait());
  captured.status = *status;
  return captured;
}

bool CanIsolateNetwork() {
  SpawnOptions options{.argv = {"/bin/true"}, .without_network = true};
  auto child = Process::Spawn(options);
  if (!child) return false;
  const auto status = child->Wait();
  return status && (*status)->AsShell() == 0;
}

std::optional<std::string> FindInPath(const std::string& name) {
  if (name.contains('/')) return ::access(name.c_str(), X_OK) == 0 ? std::optional(name) : std::nullopt;
  const char* path = ::getenv("PATH");
  for (const auto directory : Split(path != nullptr ? path : "/usr/bin:/bin", ':')) {
    std::string candidate = JoinPath(directory.empty() ? "." : directory, name);
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return std::nullopt;
}

}  // namespace pgstrata::io
