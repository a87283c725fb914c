#include "branch/branch/server_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <thread>
#include <vector>

#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/proc.h"
#include "foundation/io/process.h"

namespace pgstrata::branch {
namespace {

using namespace std::chrono_literals;

// How long a server that was ended may take to be gone before what is left of it is looked for.
constexpr auto kPatience = 500ms;
constexpr auto kKillPatience = 10s;

bool HasOpen(pid_t pid, const std::string& path) {
  const std::string descriptors = io::ProcPath(pid, "fd");
  const auto names = io::ListDirectory(descriptors);
  return names && std::ranges::any_of(*names, [&](const std::string& name) {
           const auto target = io::ReadLink(JoinPath(descriptors, name));
           return target && *target == path;
         });
}

Status EndHolders(const std::string& path) {
  for (const pid_t pid : io::ListProcesses()) {
    if (pid == ::getpid() || !HasOpen(pid, path)) continue;
    auto process = io::Process::Adopt(pid);
    if (!process || !HasOpen(pid, path)) continue;  // it has ended; the number may be another's
    PGS_TRY(process->End(SIGKILL, kKillPatience));
  }
  return {};
}

Result<bool> TryLock(int fd, const std::string& path) {
  while (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno == EWOULDBLOCK) return false;
    return FailErrno("could not lock " + Quoted(path));
  }
  return true;
}

}  // namespace

Result<ServerLock> ServerLock::Acquire(const std::string& path) {
  ServerLock lock;
  lock.fd_ = io::UniqueFd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock.fd_.valid()) return FailErrno("could not open " + Quoted(path));
  const auto begin = std::chrono::steady_clock::now();
  bool ended = false;
  while (true) {
    PGS_ASSIGN(const bool locked, TryLock(lock.fd_.get(), path));
    if (locked) return lock;
    const auto waited = std::chrono::steady_clock::now() - begin;
    if (waited > kKillPatience) {
      return Fail(Error(ErrorCode::kBusy, "processes of an earlier server still run: they hold " + Quoted(path))
                      .WithHint("end them; they belong to another user, or cannot be killed"));
    }
    if (waited > kPatience && !ended) {
      PGS_TRY(EndHolders(path));
      ended = true;
    }
    std::this_thread::sleep_for(2ms);
  }
}

}  // namespace pgstrata::branch
