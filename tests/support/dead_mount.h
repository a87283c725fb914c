#pragma once

#include <cerrno>

namespace pgstrata::test {

// What somebody gets who uses a mount whose server is gone: ENOTCONN. Where the kernel has not yet taken the queues of
// io_uring away, which it does some milliseconds after the server's end, a request is aborted, or cancelled on its way.
inline bool IsErrorOfADeadMount(int error_number) {
  return error_number == ENOTCONN || error_number == ECONNABORTED || error_number == ECANCELED;
}

}  // namespace pgstrata::test
