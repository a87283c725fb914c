// Where a serving thread takes requests from and where it sends the answers. Private to this room.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <expected>
#include <memory>

#include "foundation/base/bytes.h"
#include "foundation/base/error.h"

namespace pgstrata::fuse {

// A request as the kernel made it: a fuse_in_header, what belongs to its kind, and its data, without gaps. Valid until
// it is answered or the next one is taken.
struct Request {
  void* memory;
  size_t size;
};

// For one thread: the first that calls Next.
class RequestSource {
 public:
  virtual ~RequestSource() = default;

  // Waits for a request, or returns an errno: EINTR when a signal came, ENODEV, ECONNABORTED or ENOTCONN when the
  // connection has ended.
  virtual std::expected<Request, int> Next() = 0;
  // Whether it was the kernel's answer to its first call: the kernel goes on by itself, without this place.
  [[nodiscard]] virtual bool WasRefused() const { return false; }
  // The answer as libfuse has it, a fuse_out_header first: how many bytes were taken, or -1 and errno. It may reach the
  // kernel only with the next call of Next or Flush.
  virtual ssize_t Reply(iovec* parts, int count) = 0;
  virtual void Flush() {}
  // kMaxTransfer bytes from the beginning of a page: a WRITE's data, and where a READ's are built without being copied
  // once more.
  [[nodiscard]] virtual MutableBytes payload() const = 0;
};

// Reads and writes a clone of `device`: an answer must go to the descriptor that its request came from.
Result<std::unique_ptr<RequestSource>> MakeClonedSource(int device);
// The device itself, which it does not close; for the request before all others, INIT.
Result<std::unique_ptr<RequestSource>> MakeDeviceSource(int device);

}  // namespace pgstrata::fuse
