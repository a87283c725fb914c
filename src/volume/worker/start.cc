#include "volume/worker/start.h"

#include <sys/socket.h>

#include <array>

#include "volume/fuse/mount.h"

namespace pgstrata::worker {

Result<Channel> MakeChannel() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return FailErrno("could not make a socket pair");
  }
  return Channel{.parent_end = io::UniqueFd(ends[0]), .worker_end = io::UniqueFd(ends[1])};
}

AllSignalsBlocked::AllSignalsBlocked() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before_);
}
AllSignalsBlocked::~AllSignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

Status RemoveMountOf(const std::string& mountpoint, dev_t device) {
  PGS_ASSIGN(const auto mount, fuse::FindMount(mountpoint));
  if (!mount || mount->device() != device) return {};
  return fuse::Unmount(mountpoint, {.lazy = true, .abort_first = true});
}

}  // namespace pgstrata::worker
