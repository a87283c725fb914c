// FUSE over io_uring (Linux 6.14 and later, Documentation/filesystems/fuse/fuse-io-uring.rst): each processor has a
// queue of the requests that are made on it, and a place in a queue takes one request at a time. Sending an answer and
// waiting for the next request is one system call, and who asks and who answers can be on one processor: neither is
// woken across processors, which costs more than everything else about a request that is answered from memory.
// Private to this room.
#pragma once

#include <linux/fuse.h>

#include <cstdint>
#include <memory>

#include "foundation/base/error.h"
#include "volume/fuse/request_source.h"

namespace pgstrata::fuse {

// What INIT says about it. In <linux/fuse.h> since 7.42.
constexpr uint32_t kInitFlag2OverIoUring = 1U << 9;
bool OffersRings(const Request& init);
void AcceptRings(fuse_init_out& answer);

// How many queues the kernel wants to see served before it sends requests there: one for each processor that it could
// ever have. Zero where that is not known, or more than is worth a thread for each (kMostQueues).
unsigned CountQueues();
constexpr unsigned kMostQueues = 32;
// Places in one queue: so many requests of one processor are worked at.
unsigned PlacesInQueue(unsigned queues);

// A place in `queue`, and an io_uring for it. It is the kernel's with the first call of Next; from then on its thread
// serves until the connection ends or nobody is to be answered any more. Answers to what did not come from here go to
// `device`, which outlives it. An error where io_uring cannot be used.
Result<std::unique_ptr<RequestSource>> MakeRingSource(int device, uint16_t queue);

}  // namespace pgstrata::fuse
