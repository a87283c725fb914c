// Invariants:
//   - A place is either the kernel's, which fills it, or its thread's, which answers: a command is with the kernel in
//     the first case and none in the second.
//   - Only the answer to the request in the place goes back through it. libfuse answers an INTERRUPT, which came by the
//     device, at times in the middle of another request.
//
// The kernel copies a request's data to the beginning of a page, and its two headers to fixed places. libfuse wants
// them in a row: the headers are copied in front of the data.
#include "volume/fuse/ring_source.h"

#include <sched.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "foundation/base/text.h"
#include "foundation/io/file.h"
#include "volume/fuse/command_ring.h"
#include "volume/fuse/mapped_memory.h"
#include "volume/fuse/operations.h"

namespace pgstrata::fuse {
namespace {

// The kernel's interface, as far as older headers lack it.
constexpr uint32_t kRegister = 1;
constexpr uint32_t kCommitAndFetch = 2;
constexpr uint32_t kInitExtended = 1U << 30;  // FUSE_INIT_EXT: flags2 is there
constexpr size_t kHeaderBytes = 128;
struct RingHeaders {
  std::array<std::byte, kHeaderBytes> header;     // fuse_in_header, or fuse_out_header
  std::array<std::byte, kHeaderBytes> operation;  // what belongs to the kind of request
  uint64_t flags;
  uint64_t commit_id;
  uint32_t data_size;
  uint32_t padding;
  uint64_t reserved;
};
struct RingCommand {
  uint64_t flags;
  uint64_t commit_id;
  uint16_t queue;
  std::array<uint8_t, 6> padding;
};

constexpr size_t kHeadersAt = 0;
constexpr size_t kRingDataAt = 8192;
static_assert(sizeof(RingHeaders) + sizeof(fuse_in_header) + kHeaderBytes <= kRingDataAt);
// From here on the work of a request is more than the way to whom it is for: any processor may do it.
constexpr uint32_t kLargeTransfer = 128 << 10;

class RingSource final : public RequestSource {
 public:
  RingSource(int device, uint16_t queue, std::unique_ptr<CommandRing> ring, MappedMemory memory)
      : device_(device), queue_(queue), ring_(std::move(ring)), memory_(std::move(memory)) {
    places_[0] = {.iov_base = memory_.data() + kHeadersAt, .iov_len = sizeof(RingHeaders)};
    places_[1] = {.iov_base = memory_.data() + kRingDataAt, .iov_len = kMaxTransfer};
  }

  std::expected<Request, int> Next() override {
    if (!begun_) {
      if (const int error = Begin(); error != 0) return std::unexpected(error);
    }
    const auto result = ring_->Wait();
    if (!result) return std::unexpected(result.error());
    refused_ = *result < 0;
    if (refused_) return std::unexpected(-*result);
    return TakeRequest();
  }
  [[nodiscard]] bool WasRefused() const override { return refused_; }

  ssize_t Reply(iovec* parts, int count) override {
    fuse_out_header header{};
    std::memcpy(&header, parts[0].iov_base, sizeof header);
    if (header.unique != unique_) return ::writev(device_, parts, count);
    std::memcpy(headers().header.data(), &header, sizeof header);
    size_t size = 0;
    for (const iovec& part : std::span(parts, static_cast<size_t>(count)).subspan(1)) {
      std::byte* const to = memory_.data() + kRingDataAt + size;
      if (to != part.iov_base) std::memmove(to, part.iov_base, part.iov_len);
      size += part.iov_len;
    }
    headers().data_size = static_cast<uint32_t>(size);
    Put(kCommitAndFetch, headers().commit_id, {});
    unique_ = 0;
    return static_cast<ssize_t>(sizeof header + size);
  }

  void Flush() override { ring_->Submit(); }
  [[nodiscard]] MutableBytes payload() const override { return {memory_.data() + kRingDataAt, kMaxTransfer}; }

 private:
  [[nodiscard]] RingHeaders& headers() const { return *reinterpret_cast<RingHeaders*>(memory_.data() + kHeadersAt); }

  int Begin() {
    begun_ = true;
    if (const int error = ring_->Begin(); error != 0) return error;
    Put(kRegister, 0, places_);
    return 0;
  }

  void Put(uint32_t operation, uint64_t commit_id, std::span<const iovec> places) {
    const RingCommand command{.flags = 0, .commit_id = commit_id, .queue = queue_, .padding = {}};
    ring_->Put({.operation = operation,
                .address = places.data(),
                .length = static_cast<uint32_t>(places.size()),
                .data = std::as_bytes(std::span(&command, 1))});
  }

  std::expected<Request, int> TakeRequest() {
    fuse_in_header header{};
    std::memcpy(&header, headers().header.data(), sizeof header);
    unique_ = header.unique;
    const size_t operation_size = header.len - sizeof header - headers().data_size;
    if (operation_size > kHeaderBytes) return std::unexpected(EPROTO);
    std::byte* const request = memory_.data() + kRingDataAt - operation_size - sizeof header;
    std::memcpy(request, &header, sizeof header);
    std::memcpy(request + sizeof header, headers().operation.data(), operation_size);
    if (IsLarge(header.opcode)) {
      LeaveProcessor();
    } else {
      StayOnProcessor();
    }
    return Request{.memory = request, .size = header.len};
  }

  [[nodiscard]] bool IsLarge(uint32_t opcode) const {
    if (opcode == FUSE_WRITE) return headers().data_size >= kLargeTransfer;
    fuse_read_in read{};
    if (opcode == FUSE_READ) std::memcpy(&read, headers().operation.data(), sizeof read);
    return read.size >= kLargeTransfer;
  }

  // Where the queue's processor is one that this process may use at all. A session that frees its worker from the
  // processor on which it started frees this thread too: it comes back.
  void StayOnProcessor() {
    if (stays_ && ::sched_getcpu() == queue_) return;
    cpu_set_t allowed;
    if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0 || CPU_ISSET(queue_, &allowed) == 0) return;
    if (CPU_COUNT(&allowed) > 1) everywhere_ = allowed;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(queue_, &one);
    stays_ = ::sched_setaffinity(0, sizeof one, &one) == 0;
  }
  void LeaveProcessor() {
    if (std::exchange(stays_, false) && CPU_COUNT(&everywhere_) > 1) {
      ::sched_setaffinity(0, sizeof everywhere_, &everywhere_);
    }
  }

  const int device_;
  const uint16_t queue_;
  const std::unique_ptr<CommandRing> ring_;
  const MappedMemory memory_;
  std::array<iovec, 2> places_{};
  bool begun_ = false;
  bool refused_ = false;
  bool stays_ = false;      // on the queue's processor
  cpu_set_t everywhere_{};  // where it was allowed to run before
  uint64_t unique_ = 0;     // of the request in the place; 0: the kernel's
};

}  // namespace

bool OffersRings(const Request& init) {
  fuse_init_in offered{};
  if (init.size < sizeof(fuse_in_header) + sizeof offered) return false;
  std::memcpy(&offered, static_cast<const std::byte*>(init.memory) + sizeof(fuse_in_header), sizeof offered);
  return (offered.flags & kInitExtended) != 0 && (offered.flags2 & kInitFlag2OverIoUring) != 0;
}

void AcceptRings(fuse_init_out& answer) {
  answer.flags |= kInitExtended;
  answer.flags2 |= kInitFlag2OverIoUring;
}

// "0-3", or "0,2-3": how many numbers that names.
unsigned CountQueues() {
  const auto text = io::ReadWholeFile("/sys/devices/system/cpu/possible");
  if (!text) return 0;
  uint64_t count = 0;
  for (const std::string_view range : Split(TrimWhitespace(*text), ',')) {
    const size_t dash = range.find('-');
    const auto from = ParseDecimal(range.substr(0, dash));
    const auto to = dash == std::string_view::npos ? from : ParseDecimal(range.substr(dash + 1));
    if (!from || !to || *to < *from) return 0;
    count += *to - *from + 1;
  }
  return count <= kMostQueues ? static_cast<unsigned>(count) : 0;
}

unsigned PlacesInQueue(unsigned queues) { return std::clamp(64U / std::max(queues, 1U), 4U, 16U); }

Result<std::unique_ptr<RequestSource>> MakeRingSource(int device, uint16_t queue) {
  PGS_ASSIGN(auto ring, CommandRing::Make(device));
  PGS_ASSIGN(MappedMemory memory, MappedMemory::Allocate(kRingDataAt + kMaxTransfer));
  return std::make_unique<RingSource>(device, queue, std::move(ring), std::move(memory));
}

}  // namespace pgstrata::fuse
