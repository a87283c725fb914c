// The same work on many things by a few threads.
#pragma once

#include <cstddef>
#include <functional>

namespace pgstrata {

// Calls `work` with each number below `count`, one after another as threads become free; the caller's thread is one of
// the `threads` (at least one). Fewer threads do it where no more can be had. Returns when all are done.
void ForEachInParallel(size_t count, unsigned threads, const std::function<void(size_t)>& work);

// As many threads as computing keeps busy here: between 1 and 16.
unsigned UsefulThreads();

}  // namespace pgstrata
