#include "app/cli/signals.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>

namespace pgstrata::cli {

Result<SignalQueue> SignalQueue::Create() {
  sigset_t watched;
  sigemptyset(&watched);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) sigaddset(&watched, signal);
  if (sigprocmask(SIG_BLOCK, &watched, nullptr) != 0) return FailErrno("could not block signals");
  SignalQueue queue;
  queue.fd_ = io::UniqueFd(::signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!queue.fd_.valid()) return FailErrno("could not watch for signals");
  return queue;
}

std::optional<ReceivedSignal> SignalQueue::Take() {
  signalfd_siginfo info{};
  if (::read(fd_.get(), &info, sizeof info) != static_cast<ssize_t>(sizeof info)) return std::nullopt;
  return ReceivedSignal{.number = static_cast<int>(info.ssi_signo), .from_terminal = info.ssi_code == SI_KERNEL};
}

}  // namespace pgstrata::cli
