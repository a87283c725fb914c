#include "branch/branch/left_server.h"

#include <chrono>
#include <csignal>

#include "foundation/base/text.h"
#include "foundation/io/file.h"
#include "foundation/io/proc.h"
#include "foundation/io/process.h"
#include "postgres/instance/server.h"

namespace pgstrata::branch {
namespace {

using namespace std::chrono_literals;

constexpr auto kServerGrace = 5s;

}  // namespace

std::optional<pid_t> FindPostmaster(const LeftServer& left) {
  const auto text = io::ReadWholeFile(left.pid_file);
  if (!text) return std::nullopt;
  const auto pid = ParseDecimal(TrimWhitespace(*text));
  if (!pid) return std::nullopt;
  const auto command_line = io::ReadWholeFile(io::ProcPath(static_cast<pid_t>(*pid), "cmdline"));
  if (!command_line || !command_line->contains(left.directory + '/')) return std::nullopt;
  return static_cast<pid_t>(*pid);
}

Status EndServer(const LeftServer& left) {
  if (const auto pid = FindPostmaster(left)) {
    PGS_ASSIGN(io::Process server, io::Process::Adopt(*pid));
    PGS_TRY(server.Signal(SIGQUIT));
    PGS_TRY(server.Signal(SIGCONT));  // whoever died may have held its connections
    PGS_ASSIGN(const auto ended, server.Wait(kServerGrace));
    if (ended) return {};  // and it has waited for its children
  }
  return instance::EndServerProcesses(left.data_directory);
}

}  // namespace pgstrata::branch
