// An io_uring for commands to one device, one at a time. Private to this room.
#pragma once

#include <linux/io_uring.h>

#include <cstdint>
#include <expected>
#include <memory>

#include "foundation/base/bytes.h"
#include "foundation/base/error.h"
#include "foundation/io/fd.h"
#include "volume/fuse/mapped_memory.h"

namespace pgstrata::fuse {

struct Command {
  uint32_t operation = 0;
  const void* address = nullptr;
  uint32_t length = 0;
  ByteView data = {};  // at most 80 bytes
};

// Made by any thread, used by one: the one that calls Begin.
class CommandRing {
 public:
  // `device` outlives it. An error where the kernel has no io_uring, or does not let this process use it.
  static Result<std::unique_ptr<CommandRing>> Make(int device);
  CommandRing(const CommandRing&) = delete;
  CommandRing& operator=(const CommandRing&) = delete;

  // Errnos; 0 is success.
  int Begin();
  // The next command. It reaches the kernel by Submit or Wait; the one before has come to its end.
  void Put(const Command& command);
  int Submit();
  // Until the command has come to its end; its result. EINTR when a signal came, or memory is short: to be called
  // again.
  std::expected<int, int> Wait();

 private:
  explicit CommandRing(int device) : device_(device) {}
  Status Setup();
  int Enter(unsigned flags);

  const int device_;
  io::UniqueFd ring_;
  io_uring_params layout_{};
  MappedMemory queues_;   // shared with the kernel, as layout_ says: both queues
  MappedMemory entries_;  // ... and the commands
  unsigned unsubmitted_ = 0;
};

}  // namespace pgstrata::fuse
