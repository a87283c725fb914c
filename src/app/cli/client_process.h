// The program that a user works with while a database is open: psql, a shell, pg_dump.
#pragma once

#include <utility>
#include <vector>

#include "app/cli/signals.h"
#include "foundation/base/error.h"
#include "foundation/io/process.h"

namespace pgstrata::cli {

struct ClientEnd {
  int status = 0;            // as a shell says it
  bool worker_died = false;  // the database went away underneath
};

// On our terminal. Move-only; killed by destruction if it still runs.
class ClientProcess {
 public:
  static Result<ClientProcess> Start(const std::vector<std::string>& argv, const io::Environment& environment);
  ClientProcess(ClientProcess&& other) noexcept = default;
  ClientProcess& operator=(ClientProcess&& other) = delete;  // what it held would have to be ended
  ~ClientProcess();

  // Waits until it ends. Ctrl-C belongs to it (the terminal sends it to both); a signal sent to us alone is passed on;
  // SIGTERM, SIGHUP and SIGQUIT end it, if need be by SIGKILL, and `status` is then 128 + that signal. `worker_pidfd`
  // becomes readable when the database is gone: the client is ended.
  Result<ClientEnd> Wait(SignalQueue& signals, int worker_pidfd);

 private:
  explicit ClientProcess(io::Process process) : process_(std::move(process)) {}

  io::Process process_;
};

}  // namespace pgstrata::cli
