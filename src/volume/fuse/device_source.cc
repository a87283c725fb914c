// Requests by read(2), answers by writev(2).
#include <fcntl.h>
#include <linux/fuse.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "foundation/io/fd.h"
#include "volume/fuse/mapped_memory.h"
#include "volume/fuse/operations.h"
#include "volume/fuse/request_source.h"

namespace pgstrata::fuse {
namespace {

constexpr size_t kDeviceDataAt = 4096;
static_assert(kWriteHeader == sizeof(fuse_in_header) + sizeof(fuse_write_in));

// One buffer. A request is read so that a WRITE's data begin at a page; a READ's data are built at the same place, as
// its request has no data of its own.
class DeviceSource final : public RequestSource {
 public:
  DeviceSource(int device, io::UniqueFd clone, MappedMemory memory)
      : device_(device), clone_(std::move(clone)), memory_(std::move(memory)) {}

  std::expected<Request, int> Next() override {
    std::byte* const at = memory_.data() + kDeviceDataAt - kWriteHeader;
    for (;;) {
      const ssize_t size = ::read(device_, at, kWriteHeader + kMaxTransfer);
      if (size > 0) return Request{.memory = at, .size = static_cast<size_t>(size)};
      if (size == 0) return std::unexpected(ENODEV);
      // ENOENT: the request was interrupted before it was read.
      if (errno != EAGAIN && errno != ENOENT) return std::unexpected(errno);
    }
  }
  ssize_t Reply(iovec* parts, int count) override { return ::writev(device_, parts, count); }
  [[nodiscard]] MutableBytes payload() const override { return {memory_.data() + kDeviceDataAt, kMaxTransfer}; }

 private:
  const int device_;
  const io::UniqueFd clone_;  // device_, where that is a clone
  const MappedMemory memory_;
};

Result<io::UniqueFd> CloneDevice(int device) {
  io::UniqueFd clone(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
  if (!clone.valid()) return FailErrno("could not open \"/dev/fuse\"");
  auto source = static_cast<uint32_t>(device);
  if (::ioctl(clone.get(), FUSE_DEV_IOC_CLONE, &source) != 0) return FailErrno("could not clone a FUSE descriptor");
  return clone;
}

}  // namespace

Result<std::unique_ptr<RequestSource>> MakeClonedSource(int device) {
  PGS_ASSIGN(io::UniqueFd clone, CloneDevice(device));
  PGS_ASSIGN(MappedMemory memory, MappedMemory::Allocate(kDeviceDataAt + kMaxTransfer));
  const int number = clone.get();
  return std::make_unique<DeviceSource>(number, std::move(clone), std::move(memory));
}

Result<std::unique_ptr<RequestSource>> MakeDeviceSource(int device) {
  PGS_ASSIGN(MappedMemory memory, MappedMemory::Allocate(kDeviceDataAt + kMaxTransfer));
  return std::make_unique<DeviceSource>(device, io::UniqueFd(), std::move(memory));
}

}  // namespace pgstrata::fuse
