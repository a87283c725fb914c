#include "volume/fuse/mapped_memory.h"

#include <sys/mman.h>

#include <utility>

namespace pgstrata::fuse {

Result<MappedMemory> MappedMemory::Make(int fd, int flags, off_t offset, size_t size) {
  void* const mapped = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, flags, fd, offset);
  if (mapped == MAP_FAILED) return FailErrno("could not allocate memory for requests");
  MappedMemory memory;
  memory.data_ = static_cast<std::byte*>(mapped);
  memory.size_ = size;
  return memory;
}

Result<MappedMemory> MappedMemory::Allocate(size_t size) { return Make(-1, MAP_PRIVATE | MAP_ANONYMOUS, 0, size); }

Result<MappedMemory> MappedMemory::Map(int fd, off_t offset, size_t size) {
  return Make(fd, MAP_SHARED | MAP_POPULATE, offset, size);
}

MappedMemory& MappedMemory::operator=(MappedMemory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedMemory::~MappedMemory() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

}  // namespace pgstrata::fuse
