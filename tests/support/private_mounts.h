#pragma once

#include <fcntl.h>
#include <mntent.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "foundation/io/fd.h"

namespace pgstrata::test {

// Moves the calling thread into a mount namespace of its own, from which nothing that it mounts reaches the machine.
// Needs the rights of root, in this user namespace or in one just entered. False, with errno, where that is impossible.
//
// Propagation belongs to mounts, and in a bare root entered by chroot(2) the directory "/" is none: mount(2) says
// EINVAL. So this goes for a moment to the namespace's own root, which setns(2) leads to, and comes back.
//
// The new namespace holds a copy of every mount, and a volume that is unmounted goes on in the copy: for whoever made
// it that looks like a container that still uses it. So the copies are let go, where the rights allow it.
enum class CopiedVolumes { kLetGo, kKept };
inline void LetGoOfVolumes() {
  std::vector<std::string> found;
  if (std::FILE* mounts = ::setmntent("/proc/thread-self/mounts", "re")) {
    while (const mntent* mount = ::getmntent(mounts)) {
      if (std::string_view(mount->mnt_type) == "fuse.pgstrata") found.emplace_back(mount->mnt_dir);
    }
    ::endmntent(mounts);
  }
  for (const auto& mount : found) ::umount2(mount.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
}
inline bool EnterPrivateMounts(CopiedVolumes copied = CopiedVolumes::kLetGo) {
  if (::unshare(CLONE_NEWNS) != 0) return false;
  const io::UniqueFd root(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  const io::UniqueFd directory(::open(".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  const io::UniqueFd mounts(::open("/proc/thread-self/ns/mnt", O_RDONLY | O_CLOEXEC));
  if (!root.valid() || !directory.valid() || !mounts.valid()) return false;
  const bool entered = ::setns(mounts.get(), CLONE_NEWNS) == 0 &&
                       ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 && ::fchdir(root.get()) == 0 &&
                       ::chroot(".") == 0 && ::fchdir(directory.get()) == 0;
  if (entered && copied == CopiedVolumes::kLetGo) LetGoOfVolumes();
  return entered;
}

}  // namespace pgstrata::test
