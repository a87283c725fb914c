// Mounting by fusermount3, begun early: for an ordinary user another program does it, and what it takes to be started
// and to work passes beside other work. As root it is one system call, and nothing is begun.
#pragma once

#include <string>

#include "foundation/base/error.h"
#include "foundation/io/fd.h"
#include "foundation/io/process.h"
#include "volume/fuse/session.h"

namespace pgstrata::fuse {

// A mount under way, or made, that nobody serves yet. Whoever looks at its mountpoint meanwhile waits for the server.
// Move-only.
class StartedMount {
 public:
  StartedMount() = default;
  // Resolves options.mountpoint and starts fusermount3 there; as root only the former. Errors as Session::Mount.
  static Result<StartedMount> Begin(MountOptions options);
  // Takes the mount away, unless it was given away.
  ~StartedMount();
  StartedMount(StartedMount&& other) noexcept { *this = std::move(other); }
  StartedMount& operator=(StartedMount&& other) noexcept;

  // With the mountpoint resolved.
  [[nodiscard]] const MountOptions& options() const { return options_; }

  // Waits for the connection's descriptor, on which INIT waits to be read; as root this is what mounts. For the process
  // that serves it, which may be a forked child; the parent then calls GiveAway.
  Result<io::UniqueFd> Take();
  // Another process serves it now and unmounts it in the end.
  void GiveAway() { given_away_ = true; }

 private:
  [[nodiscard]] bool begun() const { return process_.valid(); }

  MountOptions options_;
  io::Process process_;
  io::UniqueFd answer_;  // a socket that the descriptor comes through
  io::UniqueFd errors_;  // a pipe with what fusermount3 says
  bool given_away_ = false;
};

}  // namespace pgstrata::fuse
