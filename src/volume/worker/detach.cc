#include "volume/worker/detach.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/fd.h"

namespace pgstrata::worker {
namespace {

void ResetSignals() {
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  for (const int ignored : {SIGINT, SIGHUP, SIGPIPE}) ::signal(ignored, SIG_IGN);
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  pthread_sigmask(SIG_SETMASK, &blocked, nullptr);
}

Status CloseForeignDescriptors(const std::vector<int>& keep_open) {
  PGS_ASSIGN(const auto names, io::ListDirectory("/proc/self/fd"));
  for (const std::string& name : names) {
    const int fd = static_cast<int>(ParseDecimal(name).value_or(0));
    if (fd <= STDERR_FILENO || std::ranges::find(keep_open, fd) != keep_open.end()) continue;
    const int flags = ::fcntl(fd, F_GETFD);
    if (flags >= 0 && (flags & FD_CLOEXEC) == 0) ::close(fd);
  }
  return {};
}

Status RedirectStandardStreams() {
  const io::UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null.valid()) return FailErrno("could not open \"/dev/null\"");
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::dup2(null.get(), stream) < 0) return FailErrno("could not redirect a standard stream");
  }
  return {};
}

}  // namespace

Status Detach(const std::vector<int>& keep_open) {
  ResetSignals();
  ::setsid();
  ::prctl(PR_SET_NAME, "pgstrata-worker");
#ifdef PR_SET_IO_FLUSHER
  // Memory that it needs while it writes back must not wait for its own write-back. Only root may say so.
  ::prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
#endif
  if (::chdir("/") != 0) return FailErrno("could not change to \"/\"");
  PGS_TRY(RedirectStandardStreams());
  return CloseForeignDescriptors(keep_open);
}

}  // namespace pgstrata::worker
