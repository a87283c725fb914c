#include "volume/worker/mount_users.h"

#include <unistd.h>

#include <algorithm>

#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "foundation/io/proc.h"

namespace pgstrata::worker {
namespace {

bool LeadsInto(const std::string& link, const std::string& mountpoint) {
  const auto target = io::ReadLink(link);
  return target && target->starts_with(mountpoint) &&
         (target->size() == mountpoint.size() || (*target)[mountpoint.size()] == '/');
}

bool Uses(pid_t pid, const std::string& mountpoint) {
  for (const char* link : {"cwd", "root"}) {
    if (LeadsInto(io::ProcPath(pid, link), mountpoint)) return true;
  }
  const std::string descriptors = io::ProcPath(pid, "fd");
  const auto names = io::ListDirectory(descriptors);
  return names && std::ranges::any_of(*names, [&](const std::string& name) {
           return LeadsInto(JoinPath(descriptors, name), mountpoint);
         });
}

}  // namespace

std::vector<MountUser> FindMountUsers(const std::string& mountpoint) {
  std::vector<MountUser> users;
  for (const pid_t pid : io::ListProcesses()) {
    if (pid == ::getpid() || !Uses(pid, mountpoint)) continue;
    const auto name = io::ReadWholeFile(io::ProcPath(pid, "comm"));
    users.push_back({.pid = pid, .name = std::string(TrimWhitespace(name.value_or("unknown")))});
  }
  return users;
}

std::string DescribeUse(const std::vector<MountUser>& users, const std::string& what) {
  if (users.empty()) return {};
  const std::string first = "process " + std::to_string(users[0].pid) + " (" + users[0].name + ')';
  if (users.size() == 1) return first + " uses " + what;
  return first + " and " + std::to_string(users.size() - 1) + " more use " + what;
}

}  // namespace pgstrata::worker
