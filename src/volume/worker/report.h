// What a worker says to the process that started it, once: that it serves, or why it does not. Private to this room.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "foundation/base/error.h"

namespace pgstrata::worker {

// Both return false when the other end is gone.
bool SendMounted(int pipe, uint64_t device);
bool SendError(int pipe, const Error& error);

// Waits for the report: the device number, or the worker's error. A worker that ends without a report is kInternal, one
// that says nothing until `deadline` kBusy.
Result<uint64_t> ReceiveReport(int pipe, std::optional<std::chrono::steady_clock::time_point> deadline = std::nullopt);

}  // namespace pgstrata::worker
