// The process that serves a volume for as long as somebody wants it: it belongs to init, has a session of its own, and
// outlives the command that started it. worker.h has the other kind, which ends with its command.
//
// It serves until `quit` on its control socket (docs/protocol/worker.md), SIGTERM, or until its mount is removed from
// outside. Every orderly end is the same: the mount is removed first, while its requests are still answered, so that
// the kernel writes back what is dirty; then all that arrived is made durable; then the process ends. While somebody
// uses the mount, `quit` is refused and SIGTERM waits until nobody does; only `quit` with force cuts the connection.
// Meanwhile what arrived is made durable now and then: that bounds what a crash costs files that nobody syncs.
//
// Killed, it leaves a mount that answers ENOTCONN, never zeros, and the socket's file. Both are removed by the next
// StartKeptWorker with the same socket, and the mount by fuse::Unmount.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "foundation/base/error.h"
#include "foundation/io/process.h"
#include "volume/fuse/session.h"
#include "volume/vfs/file_system.h"
#include "volume/vfs/grafted_file_system.h"
#include "volume/worker/log_style.h"

namespace pgstrata::layer {
class Volume;
}  // namespace pgstrata::layer

namespace pgstrata::worker {

inline constexpr const char* kStatusDirectory = ".pgstrata";

struct KeptWorkerOptions {
  // Its fsname, the first column of /proc/mounts, becomes the directory that holds the control socket: so a mountpoint
  // leads to the socket of who serves it (ControlSocketOf in control_client.h).
  fuse::MountOptions mount;
  std::string log_file;  // appended to; empty: no log
  LogStyle log_style = {};
  // Shows itself in the directory kStatusDirectory of the mount's root, which the root does not list: `worker.pid`,
  // `stat` (StatText), and `worker.log`, the end of the log file.
  bool show_status = false;
  // Absolute path, of any length; its directory exists. Made by the worker, mode 0600.
  std::string control_socket;
  std::string source;  // shown by stat: what the volume stands on, in the user's words
  // Descriptors without close-on-exec that the worker needs, as in WorkerOptions.
  std::vector<int> keep_open;
  // How often names and lengths, and how often all that arrived is made durable.
  std::chrono::milliseconds tend_interval = std::chrono::seconds(5);
  std::chrono::milliseconds flush_interval = std::chrono::seconds(30);
  // How long StartKeptWorker waits for the mount.
  std::chrono::milliseconds start_timeout = std::chrono::seconds(30);
  // Ends in order when the process that started it ends: for a command that stays in the foreground.
  bool end_with_caller = false;
  // Both run in the worker. Before an orderly end, while everything is still served: end who uses the mount. Again
  // before each further attempt, where one failed.
  std::function<void()> before_unmount;
  // When the mount is gone. `clean`: in order, so that the kernel had written back what was dirty, and everything is
  // durable.
  std::function<void(bool clean)> after_end;
};

struct KeptWorker {
  // Its pidfd() becomes readable when the worker has ended; destruction does not end it. No child: the exit status
  // stays unknown.
  io::Process process;
  dev_t device = 0;  // st_dev of the mount
};

// Returns once the volume is mounted, else with the worker's error; a start that fails leaves neither process nor mount
// nor socket. kBusy where a living worker has the socket already, or something else is mounted at the mountpoint. The
// caller has one thread, holds the lock of the volume's topmost layer (layer::Volume does; the worker inherits it), and
// does not use `volume` any more: it only destroys it.
Result<KeptWorker> StartKeptWorker(layer::Volume& volume, const KeptWorkerOptions& options);

// A layer that was frozen.
struct Frozen {
  std::chrono::microseconds held{};  // how long requests waited
  Status sealed;                     // an error: not yet; each flush tries again
};

// What a kept worker needs of a volume besides its FileSystem. Called from several threads.
struct ServedVolume {
  struct Layer {
    std::string directory;
    uint64_t bytes = 0;  // on disk
  };
  struct Facts {
    uint64_t image_bytes_read = 0;
    uint64_t layer_bytes_read = 0;
    std::vector<Layer> layers;  // lowest first
  };
  vfs::FileSystem* file_system = nullptr;
  // What is shown in its root besides.
  std::vector<vfs::Graft> grafts = {};
  // Run in the worker: before it says that it serves, and as the last thing of every end that is not a crash.
  std::function<void()> enter = [] {};
  std::function<void()> leave = [] {};
  // Makes durable all that reached the volume.
  std::function<Status()> flush;
  // The same for the last time: nothing is changed after it.
  std::function<Status()> close;
  // The same for names and lengths, at no great cost.
  std::function<Status()> tend;
  // Freezes the topmost layer and puts the empty one in `directory` on top. An error means that nothing changed.
  std::function<Result<Frozen>(const std::string& directory)> freeze;
  std::function<Facts()> facts;
  // Bounds what the layers above the shared ones hold, in bytes; 0: no bound.
  std::function<void(uint64_t max_bytes)> limit;
};
// `volume`, which outlives it, as it is served.
ServedVolume Serve(layer::Volume& volume);
// StartKeptWorker for anything that can be served.
Result<KeptWorker> StartKeptWorker(const ServedVolume& volume, const KeptWorkerOptions& options);

}  // namespace pgstrata::worker
