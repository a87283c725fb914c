// Who uses a mount, as /proc shows it: nothing in the mount is touched.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace pgstrata::worker {

struct MountUser {
  pid_t pid = 0;
  std::string name;  // as ps shows it
};
// Other processes that have their working directory, their root or an open file at or below `mountpoint` (absolute,
// resolved). Without root only one's own are seen.
std::vector<MountUser> FindMountUsers(const std::string& mountpoint);
// "process 4242 (postgres) and 3 more use WHAT"; empty for nobody.
std::string DescribeUse(const std::vector<MountUser>& users, const std::string& what);

}  // namespace pgstrata::worker
