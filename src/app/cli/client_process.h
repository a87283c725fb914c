// The program that a user works with while a database is open: psql, a shell, pg_dump.
#pragma once

#include <vector>

#include "app/cli/signals.h"
#include "foundation/base/error.h"
#include "foundation/io/process.h"

namespace pgstrata::cli {

struct ClientEnd {
  int status = 0;            // as a shell says it
  bool worker_died = false;  // the database went away underneath
};

// Runs `argv` on our terminal until it ends. Ctrl-C belongs to it (the terminal sends it to both); a signal sent to us
// alone is passed on; SIGTERM, SIGHUP and SIGQUIT end it, if need be by SIGKILL, and `status` is then 128 + that
// signal. `worker_pidfd` becomes readable when the database is gone: the client is ended.
Result<ClientEnd> RunClient(const std::vector<std::string>& argv, const io::Environment& environment,
                            SignalQueue& signals, int worker_pidfd);

}  // namespace pgstrata::cli
