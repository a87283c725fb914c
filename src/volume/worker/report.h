// What a worker says to the process that started it, once: that it serves, or why it does not. Private to this room.
#pragma once

#include <cstdint>

#include "foundation/base/error.h"

namespace pgstrata::worker {

// Both return false when the other end is gone.
bool SendMounted(int pipe, uint64_t device);
bool SendError(int pipe, const Error& error);

// Waits for the report: the device number, or the worker's error. A worker that ends without a report is kInternal.
Result<uint64_t> ReceiveReport(int pipe);

}  // namespace pgstrata::worker
