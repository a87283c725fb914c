#include "app/cli/client_process.h"

#include <poll.h>

#include <array>
#include <chrono>

#include "app/cli/exit_status.h"

namespace pgstrata::cli {
namespace {

using namespace std::chrono_literals;

constexpr auto kClientGrace = 3s;

}  // namespace

Result<ClientProcess> ClientProcess::Start(const std::vector<std::string>& argv, const io::Environment& environment) {
  PGS_ASSIGN(auto process,
             io::Process::Spawn({.argv = argv, .environment = environment, .signal_when_parent_dies = SIGHUP}));
  return ClientProcess(std::move(process));
}

ClientProcess::~ClientProcess() {
  if (process_.pidfd() >= 0) static_cast<void>(process_.End(SIGKILL, kClientGrace));
}

Result<ClientEnd> ClientProcess::Wait(SignalQueue& signals, int worker_pidfd) {
  std::array<pollfd, 3> polled{pollfd{process_.pidfd(), POLLIN, 0}, pollfd{signals.fd(), POLLIN, 0},
                               pollfd{worker_pidfd, POLLIN, 0}};
  while (true) {
    if (::poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR)
      return FailErrno("could not wait for the client");
    if ((polled[0].revents & POLLIN) != 0) {
      PGS_ASSIGN(const auto status, process_.Wait());
      return ClientEnd{.status = status->AsShell()};
    }
    if ((polled[2].revents & POLLIN) != 0) {
      PGS_TRY(process_.End(SIGHUP, kClientGrace));
      return ClientEnd{.worker_died = true};
    }
    const auto signal = signals.Take();
    if (!signal) continue;
    if (signal->number == SIGINT) {
      if (!signal->from_terminal) PGS_TRY(process_.Signal(SIGINT));
      continue;
    }
    // SIGHUP is what an interactive shell, deaf to SIGTERM, listens to.
    PGS_TRY(process_.End(SIGHUP, kClientGrace));
    return ClientEnd{.status = kExitSignalBase + signal->number};
  }
}

}  // namespace pgstrata::cli
