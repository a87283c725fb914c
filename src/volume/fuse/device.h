// Making a mount. Private to this room.
#pragma once

#include "foundation/base/error.h"
#include "foundation/io/fd.h"
#include "volume/fuse/session.h"

namespace pgstrata::fuse {

// Mounts at options.mountpoint (a resolved path): as root by mount(2), else by fusermount3. Returns the connection's
// descriptor, on which INIT waits to be read.
Result<io::UniqueFd> MountDevice(const MountOptions& options, size_t max_read);

}  // namespace pgstrata::fuse
