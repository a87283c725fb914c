// Between Errors, which people read, and errno values, which the kernel reads.
#pragma once

#include "foundation/base/error.h"
#include "volume/vfs/file_system.h"

namespace pgstrata::vfs {

// What the kernel is told about `error`. A full disk or quota is ENOSPC; what a program could not make sense of is EIO.
Errno ToErrno(const Error& error);

}  // namespace pgstrata::vfs
