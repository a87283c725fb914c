#include "foundation/io/proc.h"

#include "foundation/base/text.h"
#include "foundation/io/directory.h"

namespace pgstrata::io {
namespace {

std::vector<pid_t> ListIds(const std::string& directory) {
  std::vector<pid_t> ids;
  const auto names = ListDirectory(directory);
  if (!names) return ids;
  for (const auto& name : *names) {
    if (const auto id = ParseDecimal(name)) ids.push_back(static_cast<pid_t>(*id));
  }
  return ids;
}

}  // namespace

std::string ProcPath(pid_t process, std::string_view name) {
  return JoinPath("/proc/" + std::to_string(process), name);
}

std::vector<pid_t> ListProcesses() { return ListIds("/proc"); }

std::vector<pid_t> ListThreads(pid_t process) { return ListIds(ProcPath(process, "task")); }

}  // namespace pgstrata::io
