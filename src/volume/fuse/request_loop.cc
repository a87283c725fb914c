// Why not libfuse's fuse_session_loop_mt: it can be ended only by unmounting or by a signal that hits one thread at the
// right moment, it reads INIT only once it runs (so "mounted" would not mean that the kernel agreed), and it reads
// requests to where a WRITE's data are not aligned.
//
// Each thread has its own clone of the device descriptor: a reply must go to the descriptor that the request came from,
// which libfuse knows only for its own loop. The session's custom writev therefore takes the descriptor of the calling
// thread; every request is answered by the thread that read it.
//
// A thread waits in read(2), cancellation being allowed there and nowhere else. Stop cancels, so it cannot be missed,
// and a request in progress is always answered.
//
// Memory: one buffer per thread. A request is read so that a WRITE's data begin at a page; a READ's data are built at
// the same place, as its request has no data of its own.
#include "volume/fuse/request_loop.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include <cerrno>

#include "foundation/base/log.h"

namespace pgstrata::fuse {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kWriteHeader = sizeof(fuse_in_header) + sizeof(fuse_write_in);
// More threads than this end when they become idle.
constexpr unsigned kMostIdleThreads = 8;

thread_local int thread_device = -1;

class RequestBuffer {
 public:
  RequestBuffer() : memory_(::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {}
  ~RequestBuffer() {
    if (valid()) ::munmap(memory_, kSize);
  }
  RequestBuffer(const RequestBuffer&) = delete;
  RequestBuffer& operator=(const RequestBuffer&) = delete;

  [[nodiscard]] bool valid() const { return memory_ != MAP_FAILED; }
  [[nodiscard]] void* request() const { return static_cast<std::byte*>(memory_) + kPage - kWriteHeader; }
  [[nodiscard]] static constexpr size_t request_size() { return kWriteHeader + kMaxTransfer; }
  [[nodiscard]] MutableBytes payload() const { return {static_cast<std::byte*>(memory_) + kPage, kMaxTransfer}; }

 private:
  static constexpr size_t kSize = kPage + kMaxTransfer;
  void* memory_;
};

ssize_t ReplyThroughThreadDevice(int device, iovec* parts, int count, void*) {
  return ::writev(thread_device >= 0 ? thread_device : device, parts, count);
}
ssize_t ReadDevice(int device, void* buffer, size_t size, void*) { return ::read(device, buffer, size); }

Result<io::UniqueFd> CloneDevice(int device) {
  io::UniqueFd clone(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
  if (!clone.valid()) return FailErrno("could not open \"/dev/fuse\"");
  auto source = static_cast<uint32_t>(device);
  if (::ioctl(clone.get(), FUSE_DEV_IOC_CLONE, &source) != 0) return FailErrno("could not clone a FUSE descriptor");
  return clone;
}

// What ends a thread from outside comes to the thread that waits for signals, never to one that serves.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP}) sigdelset(&all, fault);
    pthread_sigmask(SIG_BLOCK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_{};
};

// The next request's size, or an errno.
std::expected<size_t, int> Receive(int device, const RequestBuffer& buffer) {
  for (;;) {
    const ssize_t size = ::read(device, buffer.request(), RequestBuffer::request_size());
    if (size > 0) return static_cast<size_t>(size);
    if (size == 0) return std::unexpected(ENODEV);
    // ENOENT: the request was interrupted before it was read.
    if (errno != EINTR && errno != EAGAIN && errno != ENOENT) return std::unexpected(errno);
  }
}

// Unmounted, or aborted.
bool IsDisconnect(int error_number) { return error_number == ENODEV || error_number == ECONNABORTED; }

void Process(fuse_session* session, const RequestBuffer& buffer, size_t size) {
  fuse_buf request{};
  request.mem = buffer.request();
  request.size = size;
  SetReplyBuffer(buffer.payload());
  fuse_session_process_buf(session, &request);
}

}  // namespace

RequestLoop::RequestLoop(fuse_session* session, unsigned most_threads)
    : session_(session), most_threads_(most_threads) {}

void RequestLoop::UseDevice(fuse_session* session, int device) {
  const fuse_custom_io io{.writev = ReplyThroughThreadDevice, .read = ReadDevice};
  fuse_session_custom_io(session, &io, device);
}

RequestLoop::~RequestLoop() = default;

Status RequestLoop::ServeOne() {
  const RequestBuffer buffer;
  if (!buffer.valid()) return FailErrno("could not allocate a request buffer");
  const auto size = Receive(fuse_session_fd(session_), buffer);
  if (!size) return Fail(Error::FromErrno(size.error(), "could not read from \"/dev/fuse\""));
  Process(session_, buffer, *size);
  return {};
}

Status RequestLoop::Run() {
  std::unique_lock lock(mutex_);
  if (!ended_) PGS_TRY(StartWorker());
  changed_.wait(lock, [this] { return ended_ && running_ == 0; });
  JoinFinished();
  if (error_ != 0) return Fail(Error::FromErrno(error_, "could not read from \"/dev/fuse\""));
  return {};
}

void RequestLoop::Stop() { End(0); }

void RequestLoop::End(int error_number) {
  const std::scoped_lock lock(mutex_);
  ended_ = true;
  if (error_ == 0) error_ = error_number;
  for (Worker& worker : workers_) {
    if (!worker.finished) pthread_cancel(worker.thread.native_handle());
  }
  changed_.notify_all();
}

Status RequestLoop::StartWorker() {
  JoinFinished();
  PGS_ASSIGN(io::UniqueFd device, CloneDevice(fuse_session_fd(session_)));
  const SignalsBlocked blocked;
  Worker& worker = workers_.emplace_back();
  ++running_;
  ++idle_;
  worker.thread = std::thread([this, &worker](io::UniqueFd own_device) { WorkerMain(worker, std::move(own_device)); },
                              std::move(device));
  return {};
}

void RequestLoop::JoinFinished() {
  std::erase_if(workers_, [](Worker& worker) {
    if (worker.finished) worker.thread.join();
    return worker.finished;
  });
}

void RequestLoop::WorkerMain(Worker& worker, io::UniqueFd device) {
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, nullptr);
  // Runs when the thread is cancelled, too.
  struct AtEnd {
    RequestLoop& loop;
    Worker& worker;
    ~AtEnd() {
      const std::scoped_lock lock(loop.mutex_);
      worker.finished = true;
      --loop.running_;
      loop.changed_.notify_all();
    }
  } const at_end{*this, worker};
  thread_device = device.get();
  ServeRequests(device.get());
}

void RequestLoop::ServeRequests(int device) {
  const RequestBuffer buffer;
  if (!buffer.valid()) return End(ENOMEM);
  for (;;) {
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, nullptr);
    const auto size = Receive(device, buffer);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, nullptr);
    if (!size) return End(IsDisconnect(size.error()) ? 0 : size.error());
    RequestTaken();
    Process(session_, buffer, *size);
    if (!RequestDone()) return;
  }
}

void RequestLoop::RequestTaken() {
  if (idle_.fetch_sub(1) > 1) return;
  const std::scoped_lock lock(mutex_);
  if (ended_ || running_ >= most_threads_ || idle_ > 0) return;
  if (const auto started = StartWorker(); !started) log::Warning("{}", started.error().message());
}

bool RequestLoop::RequestDone() {
  if (idle_.fetch_add(1) < kMostIdleThreads) return true;
  const std::scoped_lock lock(mutex_);
  if (ended_ || idle_ <= kMostIdleThreads) return true;
  --idle_;
  return false;
}

}  // namespace pgstrata::fuse
