#pragma once

#include <cerrno>

namespace pgstrata::test {

// What somebody gets who uses a mount whose server is gone: ENOTCONN. A request that comes when the server has ended
// and the kernel has not yet taken its queues of io_uring away, which it does some milliseconds later, is aborted.
inline bool IsErrorOfADeadMount(int error_number) { return error_number == ENOTCONN || error_number == ECONNABORTED; }

}  // namespace pgstrata::test
