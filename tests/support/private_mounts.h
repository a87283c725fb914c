#pragma once

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include "foundation/io/fd.h"

namespace pgstrata::test {

// Moves the calling thread into a mount namespace of its own, from which nothing that it mounts reaches the machine.
// Needs the rights of root, in this user namespace or in one just entered. False, with errno, where that is impossible.
//
// Propagation belongs to mounts, and in a bare root entered by chroot(2) the directory "/" is none: mount(2) says
// EINVAL. So this goes for a moment to the namespace's own root, which setns(2) leads to, and comes back.
inline bool EnterPrivateMounts() {
  if (::unshare(CLONE_NEWNS) != 0) return false;
  const io::UniqueFd root(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  const io::UniqueFd directory(::open(".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  const io::UniqueFd mounts(::open("/proc/thread-self/ns/mnt", O_RDONLY | O_CLOEXEC));
  if (!root.valid() || !directory.valid() || !mounts.valid()) return false;
  return ::setns(mounts.get(), CLONE_NEWNS) == 0 && ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::fchdir(root.get()) == 0 && ::chroot(".") == 0 && ::fchdir(directory.get()) == 0;
}

}  // namespace pgstrata::test
