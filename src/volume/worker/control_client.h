// The other end of a worker's control socket (docs/protocol/worker.md). For one thread at a time.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>

#include "foundation/base/error.h"
#include "foundation/codec/json.h"
#include "foundation/io/fd.h"
#include "volume/worker/kept_worker.h"

namespace pgstrata::worker {

// The control socket of who serves what is mounted at `mountpoint` (absolute, resolved), found without touching the
// mount. Nothing where no kept worker's mount is there.
Result<std::optional<std::string>> ControlSocketOf(const std::string& mountpoint);

class ControlClient {
 public:
  // kNotFound where nobody listens: no worker, or one that has died.
  static Result<ControlClient> Connect(const std::string& socket_path);
  // Nothing where nobody listens. Any other error says that somebody does, or may: nobody is to be taken for dead then.
  static Result<std::optional<ControlClient>> ConnectIfAlive(const std::string& socket_path);

  // Each fails with the worker's own error; kBusy when it does not answer within `timeout`, and then this connection is
  // of no use any more; kIo where it ended instead of answering.

  // The answer's fields as the protocol says them.
  Result<codec::Json> Stat(bool reset = false, std::chrono::milliseconds timeout = kPatience);
  // The topmost layer is frozen, and the empty one in the directory `new_layer` on top of it. An error of the worker
  // means that nothing changed; where `sealed` is an error, each flush tries again to seal it.
  Result<Frozen> Freeze(const std::string& new_layer, std::chrono::milliseconds timeout = kLong);
  // Bounds what the volume's own layers hold, from now on; 0: no bound (layer::Volume::Limit).
  Status Limit(uint64_t max_bytes, std::chrono::milliseconds timeout = kPatience);
  // What reached the volume is durable.
  Status Sync(std::chrono::milliseconds timeout = kLong);
  // Unmounts, makes everything durable, and waits until the process is gone and its locks are free. kBusy, naming who
  // uses the mount, where somebody does: it then serves on. With `force` whoever uses it gets errors.
  Status Quit(bool force = false, std::chrono::milliseconds timeout = kLong);

  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  static constexpr std::chrono::seconds kPatience{10};
  static constexpr std::chrono::seconds kLong{600};

  ControlClient(io::UniqueFd socket, pid_t pid, std::string path)
      : socket_(std::move(socket)), pid_(pid), path_(std::move(path)) {}
  Result<codec::Json> Ask(const codec::Json& request, std::chrono::milliseconds timeout);

  io::UniqueFd socket_;
  pid_t pid_ = 0;
  std::string path_;
};

}  // namespace pgstrata::worker
