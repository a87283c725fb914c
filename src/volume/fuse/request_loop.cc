// Why not libfuse's fuse_session_loop_mt: it can be ended only by unmounting or by a signal that hits one thread at the
// right moment, it reads INIT only once it runs (so "mounted" would not mean that the kernel agreed), and it reads
// requests to where a WRITE's data are not aligned.
//
// Each thread has its own clone of the device descriptor: a reply must go to the descriptor that the request came from,
// which libfuse knows only for its own loop. The session's custom writev therefore takes the descriptor of the calling
// thread; every request is answered by the thread that read it.
//
// A thread waits in read(2). To end it, SIGURG is sent to it: the read fails with EINTR, and the thread sees that it is
// to stop. A signal that comes just before the read is lost, so it is sent again until the thread has ended; a request
// in progress is always answered. (pthread_cancel would do it once and for all, but it unwinds stacks in a way that
// AddressSanitizer takes for corruption.)
//
// Memory: one buffer per thread. A request is read so that a WRITE's data begin at a page; a READ's data are built at
// the same place, as its request has no data of its own.
#include "volume/fuse/request_loop.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <system_error>

#include "foundation/base/log.h"

namespace pgstrata::fuse {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kWriteHeader = sizeof(fuse_in_header) + sizeof(fuse_write_in);
// More threads than this end when they become idle.
constexpr unsigned kMostIdleThreads = 8;

// By default it is ignored, so nobody is hurt by one that comes too late.
constexpr int kWakeSignal = SIGURG;
constexpr std::chrono::milliseconds kWakeInterval{1};

thread_local int thread_device = -1;
thread_local uint64_t replied_bytes = 0;  // of the last answer, its header included

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
  const ssize_t written = ::writev(thread_device >= 0 ? thread_device : device, parts, count);
  if (written > 0) replied_bytes = static_cast<uint64_t>(written);
  return written;
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
    for (const int open : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, kWakeSignal}) sigdelset(&all, open);
    pthread_sigmask(SIG_BLOCK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_{};
};

void InstallWakeSignal() {
  struct sigaction action{};
  action.sa_handler = [](int) {};
  ::sigaction(kWakeSignal, &action, nullptr);
}

// The next request's size, or an errno: EINTR when the thread was woken.
std::expected<size_t, int> Receive(int device, const RequestBuffer& buffer) {
  for (;;) {
    const ssize_t size = ::read(device, buffer.request(), RequestBuffer::request_size());
    if (size > 0) return static_cast<size_t>(size);
    if (size == 0) return std::unexpected(ENODEV);
    // ENOENT: the request was interrupted before it was read.
    if (errno != EAGAIN && errno != ENOENT) return std::unexpected(errno);
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

// Takes a recorder for as long as a thread serves.
class OwnRecorder {
 public:
  explicit OwnRecorder(RequestCounters& counters) : counters_(counters), recorder_(counters.Take()) {}
  ~OwnRecorder() { counters_.GiveBack(recorder_); }
  OwnRecorder(const OwnRecorder&) = delete;
  OwnRecorder& operator=(const OwnRecorder&) = delete;

  // `size` is the request's. Its header is read first: an answer may be built over it.
  void ProcessAndRecord(fuse_session* session, const RequestBuffer& buffer, size_t size) {
    const uint32_t opcode = static_cast<const fuse_in_header*>(buffer.request())->opcode;
    replied_bytes = 0;
    const auto begin = std::chrono::steady_clock::now();
    Process(session, buffer, size);
    const auto took = std::chrono::steady_clock::now() - begin;
    uint64_t bytes = 0;
    if (opcode == FUSE_WRITE && size > kWriteHeader) bytes = size - kWriteHeader;
    if (opcode == FUSE_READ && replied_bytes > sizeof(fuse_out_header)) bytes = replied_bytes - sizeof(fuse_out_header);
    recorder_.Record(opcode, bytes,
                     static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(took).count()));
  }

 private:
  RequestCounters& counters_;
  RequestRecorder& recorder_;
};

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
  auto size = Receive(fuse_session_fd(session_), buffer);
  while (!size && size.error() == EINTR) size = Receive(fuse_session_fd(session_), buffer);
  if (!size) return Fail(Error::FromErrno(size.error(), "could not read from \"/dev/fuse\""));
  Process(session_, buffer, *size);
  return {};
}

Status RequestLoop::Run() {
  InstallWakeSignal();
  std::unique_lock lock(mutex_);
  if (!ended_) PGS_TRY(StartWorker());
  changed_.wait(lock, [this] { return ended_.load(); });
  while (running_ > 0) {
    for (Worker& worker : workers_) {
      if (!worker.finished) pthread_kill(worker.thread.native_handle(), kWakeSignal);
    }
    changed_.wait_for(lock, kWakeInterval, [this] { return running_ == 0; });
  }
  JoinFinished();
  if (error_ != 0) return Fail(Error::FromErrno(error_, "could not read from \"/dev/fuse\""));
  return {};
}

void RequestLoop::Stop() { End(0); }

void RequestLoop::End(int error_number) {
  const std::scoped_lock lock(mutex_);
  ended_ = true;
  if (error_ == 0) error_ = error_number;
  changed_.notify_all();
}

Status RequestLoop::StartWorker() {
  JoinFinished();
  PGS_ASSIGN(io::UniqueFd device, CloneDevice(fuse_session_fd(session_)));
  const SignalsBlocked blocked;
  Worker& worker = workers_.emplace_back();
  ++running_;
  ++idle_;
  try {
    worker.thread =
        std::thread([this, &worker, own_device = std::move(device)] { WorkerMain(worker, own_device.get()); });
  } catch (const std::system_error& error) {
    workers_.pop_back();
    --running_;
    --idle_;
    return Fail(Error::FromErrno(error.code().value(), "could not start a thread"));
  }
  return {};
}

void RequestLoop::JoinFinished() {
  std::erase_if(workers_, [](Worker& worker) {
    if (worker.finished) worker.thread.join();
    return worker.finished;
  });
}

void RequestLoop::WorkerMain(Worker& worker, int device) {
  thread_device = device;
  ServeRequests(device);
  const std::scoped_lock lock(mutex_);
  worker.finished = true;
  --running_;
  changed_.notify_all();
}

void RequestLoop::ServeRequests(int device) {
  const RequestBuffer buffer;
  if (!buffer.valid()) return GiveUp();
  OwnRecorder recorder(counters_);
  while (!ended_) {
    const auto size = Receive(device, buffer);
    if (!size && size.error() == EINTR) continue;
    if (!size) return End(IsDisconnect(size.error()) ? 0 : size.error());
    RequestTaken();
    recorder.ProcessAndRecord(session_, buffer, *size);
    if (!RequestDone()) return;
  }
}

// Without memory for a request. The others serve on; the last one ends it all.
void RequestLoop::GiveUp() {
  {
    const std::scoped_lock lock(mutex_);
    --idle_;
    if (running_ > 1) return;
  }
  End(ENOMEM);
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
