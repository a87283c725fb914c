// Memory by the page. Private to this room.
#pragma once

#include <sys/types.h>

#include <cstddef>

#include "foundation/base/error.h"

namespace pgstrata::fuse {

// Taken from the system when it is first touched, given back at the end. Move-only.
class MappedMemory {
 public:
  MappedMemory() = default;
  static Result<MappedMemory> Allocate(size_t size);
  // What `fd` shows at `offset`, shared with whoever else has it mapped.
  static Result<MappedMemory> Map(int fd, off_t offset, size_t size);
  MappedMemory(MappedMemory&& other) noexcept { *this = std::move(other); }
  MappedMemory& operator=(MappedMemory&& other) noexcept;
  ~MappedMemory();

  [[nodiscard]] std::byte* data() const { return data_; }

 private:
  static Result<MappedMemory> Make(int fd, int flags, off_t offset, size_t size);

  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace pgstrata::fuse
