#pragma once

#include "foundation/base/error.h"

namespace pgstrata::io {

// The calling process, and what it starts, gets little of a processor, and of a disk what nobody else wants (nice 19,
// the idle class of I/O).
Status BecomeIdle();

}  // namespace pgstrata::io
