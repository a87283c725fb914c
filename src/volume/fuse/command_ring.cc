// By the system calls themselves: with one command at a time there is little that liburing would spare.
//
// The kernel does its part of a command (copying a request, above all) in the thread that waits, and wakes it for that
// only while it waits: no other thread and no interrupt between processors is needed.
//
// The device is not registered with the ring. A ring holds what is registered until the thread that made it has seen
// its end; a command holds its device until it is taken back, which the kernel does as soon as the ring is closed. So
// the connection ends with its threads, whatever the thread that made the rings waits for.
#include "volume/fuse/command_ring.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

namespace pgstrata::fuse {
namespace {

constexpr unsigned kEntries = 2;
constexpr size_t kEntryBytes = 128;  // IORING_SETUP_SQE128
constexpr useconds_t kShortageMicroseconds = 1000;
constexpr unsigned kSetupFlags =
    IORING_SETUP_SQE128 | IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;

uint32_t Load(std::byte* at) {
  return std::atomic_ref(*reinterpret_cast<uint32_t*>(at)).load(std::memory_order_acquire);
}
void Store(std::byte* at, uint32_t value) {
  std::atomic_ref(*reinterpret_cast<uint32_t*>(at)).store(value, std::memory_order_release);
}

// The kernel was short of memory for the command: it is tried again.
int AfterFailure(int error_number) {
  if (error_number != EAGAIN && error_number != EBUSY && error_number != ENOMEM) return error_number;
  ::usleep(kShortageMicroseconds);
  return EINTR;
}

}  // namespace

Result<std::unique_ptr<CommandRing>> CommandRing::Make(int device) {
  std::unique_ptr<CommandRing> ring(new CommandRing(device));
  PGS_TRY(ring->Setup());
  return ring;
}

Status CommandRing::Setup() {
  layout_.flags = kSetupFlags;
  ring_ = io::UniqueFd(static_cast<int>(::syscall(SYS_io_uring_setup, kEntries, &layout_)));
  if (!ring_.valid()) return FailErrno("could not make an io_uring");
  const size_t submissions = layout_.sq_off.array + layout_.sq_entries * sizeof(uint32_t);
  const size_t completions = layout_.cq_off.cqes + layout_.cq_entries * sizeof(io_uring_cqe);
  PGS_ASSIGN(queues_, MappedMemory::Map(ring_.get(), IORING_OFF_SQ_RING, std::max(submissions, completions)));
  PGS_ASSIGN(entries_, MappedMemory::Map(ring_.get(), IORING_OFF_SQES, layout_.sq_entries * kEntryBytes));
  return {};
}

int CommandRing::Begin() {
  return ::syscall(SYS_io_uring_register, ring_.get(), IORING_REGISTER_ENABLE_RINGS, nullptr, 0) == 0 ? 0 : errno;
}

void CommandRing::Put(const Command& command) {
  std::byte* const tail_at = queues_.data() + layout_.sq_off.tail;
  const uint32_t tail = Load(tail_at);
  const uint32_t index = tail & (layout_.sq_entries - 1);
  std::byte* const place = entries_.data() + index * kEntryBytes;
  std::memset(place, 0, kEntryBytes);
  auto* const entry = reinterpret_cast<io_uring_sqe*>(place);
  entry->opcode = IORING_OP_URING_CMD;
  entry->fd = device_;
  entry->cmd_op = command.operation;
  entry->addr = reinterpret_cast<uint64_t>(command.address);
  entry->len = command.length;
  std::memcpy(place + offsetof(io_uring_sqe, cmd), command.data.data(), command.data.size());
  Store(queues_.data() + layout_.sq_off.array + index * sizeof(uint32_t), index);
  Store(tail_at, tail + 1);
  unsubmitted_ = 1;
}

int CommandRing::Enter(unsigned flags) {
  const unsigned least = flags == 0 ? 0 : 1;
  const long taken = ::syscall(SYS_io_uring_enter, ring_.get(), unsubmitted_, least, flags, nullptr, 0);
  if (taken < 0) return errno;
  if (taken > 0) unsubmitted_ = 0;
  return 0;
}

int CommandRing::Submit() { return unsubmitted_ == 0 ? 0 : Enter(0); }

std::expected<int, int> CommandRing::Wait() {
  std::byte* const head_at = queues_.data() + layout_.cq_off.head;
  std::byte* const tail_at = queues_.data() + layout_.cq_off.tail;
  const uint32_t head = Load(head_at);
  if (head == Load(tail_at)) {
    if (const int error = Enter(IORING_ENTER_GETEVENTS); error != 0) return std::unexpected(AfterFailure(error));
    // A signal that comes after the command was taken is not told of otherwise.
    if (head == Load(tail_at)) return std::unexpected(EINTR);
  }
  const auto* const ends = reinterpret_cast<const io_uring_cqe*>(queues_.data() + layout_.cq_off.cqes);
  const int result = ends[head & (layout_.cq_entries - 1)].res;
  Store(head_at, head + 1);
  return result;
}

}  // namespace pgstrata::fuse
