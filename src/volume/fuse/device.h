// Making a mount. Private to this room.
#pragma once

#include <string>

#include "foundation/base/error.h"
#include "foundation/io/fd.h"
#include "volume/fuse/session.h"

namespace pgstrata::fuse {

// Mounts at options.mountpoint (a resolved path) by mount(2). Returns the connection's descriptor, on which INIT waits
// to be read.
Result<io::UniqueFd> MountAsRoot(const MountOptions& options);

// The resolved path of a directory to mount at. Not for one where something may be mounted that nobody serves yet.
Result<std::string> ResolveDirectory(const std::string& mountpoint);
// What the kernel and fusermount3 both take.
std::string CommonOptions(const MountOptions& options);
// A failure of mounting, explained by what this machine lacks where it lacks something.
std::unexpected<Error> MountFailed(const MountOptions& options, Error error);

}  // namespace pgstrata::fuse
