// The end of a mount of MountBackup, whatever its state.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "foundation/base/error.h"

namespace pgstrata::branch {

struct EndOptions {
  bool force = false;  // also where it is in use, hangs, or its process has died
  std::chrono::milliseconds timeout = std::chrono::seconds(60);
  std::function<void(const std::string&)> warning = [](const std::string&) {};
};

// Ends what is mounted at `place` (a mountpoint as fuse::ResolveMountpoint gives it), or from the diff directory
// `place`. A mount whose process has died and that nobody uses is taken away without `force`, with a warning. kNotFound
// where nothing is mounted, kInvalidArgument where something else is; kBusy, naming who, where somebody uses it.
Status EndMount(const std::string& place, const EndOptions& options);

}  // namespace pgstrata::branch
