// Why not libfuse's fuse_session_loop_mt: it can be ended only by unmounting or by a signal that hits one thread at the
// right moment, it reads INIT only once it runs (so "mounted" would not mean that the kernel agreed), and it reads
// requests to where a WRITE's data are not aligned. Debian 12's does not know io_uring either.
//
// Every request is answered by the thread that took it, and to where it came from, which libfuse knows only for its own
// loop: the session's custom writev hands the answer to the calling thread's source.
//
// A thread waits in a system call. To end it, SIGURG is sent to it: the call fails with EINTR, and the thread sees that
// it is to stop. A signal that comes just before the call is lost, so it is sent again until the thread has ended; a
// request in progress is always answered. (pthread_cancel would do it once and for all, but it unwinds stacks in a way
// that AddressSanitizer takes for corruption.)
//
// With io_uring the device is still read: FORGET and INTERRUPT come there. A queue's threads stay until the end, as a
// place that is given back could hold a request already.
#include "volume/fuse/request_loop.h"

#include <linux/fuse.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <system_error>
#include <utility>

#include "foundation/base/log.h"
#include "volume/fuse/ring_source.h"

namespace pgstrata::fuse {
namespace {

// More threads than this end when they become idle.
constexpr unsigned kMostIdleThreads = 8;

// By default it is ignored, so nobody is hurt by one that comes too late.
constexpr int kWakeSignal = SIGURG;
constexpr std::chrono::milliseconds kWakeInterval{1};

thread_local RequestSource* thread_source = nullptr;
thread_local uint64_t replied_bytes = 0;  // of the last answer, its header included

ssize_t ReplyThroughThreadSource(int device, iovec* parts, int count, void*) {
  const ssize_t written =
      thread_source != nullptr ? thread_source->Reply(parts, count) : ::writev(device, parts, count);
  if (written > 0) replied_bytes = static_cast<uint64_t>(written);
  return written;
}
ssize_t ReadDevice(int device, void* buffer, size_t size, void*) { return ::read(device, buffer, size); }

// Answers INIT as libfuse does, and adds what libfuse does not know.
class InitSource final : public RequestSource {
 public:
  explicit InitSource(RequestSource& device) : device_(device) {}
  std::expected<Request, int> Next() override { return device_.Next(); }
  ssize_t Reply(iovec* parts, int count) override {
    fuse_init_out answer{};
    if (!accept_rings || count != 2 || parts[1].iov_len != sizeof answer) return device_.Reply(parts, count);
    std::memcpy(&answer, parts[1].iov_base, sizeof answer);
    AcceptRings(answer);
    std::array<iovec, 2> changed{parts[0], iovec{.iov_base = &answer, .iov_len = sizeof answer}};
    return device_.Reply(changed.data(), count);
  }
  [[nodiscard]] MutableBytes payload() const override { return device_.payload(); }

  bool accept_rings = false;

 private:
  RequestSource& device_;
};

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

// Unmounted, or aborted.
bool IsDisconnect(int error_number) {
  return error_number == ENODEV || error_number == ECONNABORTED || error_number == ENOTCONN;
}

void Process(fuse_session* session, RequestSource& source, const Request& request) {
  fuse_buf buffer{};
  buffer.mem = request.memory;
  buffer.size = request.size;
  thread_source = &source;
  SetReplyBuffer(source.payload());
  fuse_session_process_buf(session, &buffer);
}

// The kernel takes no place any more. Without one in each queue it sends everything to the device.
void LogRefusal(int error_number) {
  log::Warning("{}", Error::FromErrno(error_number, "a place for requests was refused").message());
}

// Takes a recorder for as long as a thread serves.
class OwnRecorder {
 public:
  explicit OwnRecorder(RequestCounters& counters) : counters_(counters), recorder_(counters.Take()) {}
  ~OwnRecorder() { counters_.GiveBack(recorder_); }
  OwnRecorder(const OwnRecorder&) = delete;
  OwnRecorder& operator=(const OwnRecorder&) = delete;

  // The request's header is read first: an answer may be built over it.
  void ProcessAndRecord(fuse_session* session, RequestSource& source, const Request& request) {
    const uint32_t opcode = static_cast<const fuse_in_header*>(request.memory)->opcode;
    replied_bytes = 0;
    const auto begin = std::chrono::steady_clock::now();
    Process(session, source, request);
    const auto took = std::chrono::steady_clock::now() - begin;
    uint64_t bytes = 0;
    if (opcode == FUSE_WRITE && request.size > kWriteHeader) bytes = request.size - kWriteHeader;
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
    : session_(session), device_{.most_threads = most_threads} {}

void RequestLoop::UseDevice(fuse_session* session, int device) {
  const fuse_custom_io io{.writev = ReplyThroughThreadSource, .read = ReadDevice};
  fuse_session_custom_io(session, &io, device);
}

RequestLoop::~RequestLoop() = default;

Status RequestLoop::AnswerInit(TransportChoice choice) {
  PGS_ASSIGN(const auto device, MakeDeviceSource(fuse_session_fd(session_)));
  auto request = device->Next();
  while (!request && request.error() == EINTR) request = device->Next();
  if (!request) return Fail(Error::FromErrno(request.error(), "could not read from \"/dev/fuse\""));
  InitSource source(*device);
  if (choice == TransportChoice::kFastest && OffersRings(*request)) {
    const Status made = MakeQueues();
    if (!made) log::Debug("requests come by the device: {}", made.error().message());
    source.accept_rings = made && !queues_.empty();
  }
  Process(session_, source, *request);
  thread_source = nullptr;
  return {};
}

// One place in each queue, so that the kernel is promised nothing that cannot be kept.
Status RequestLoop::MakeQueues() {
  std::list<Crew> queues;
  const unsigned count = CountQueues();
  for (uint16_t queue = 0; queue < count; ++queue) {
    PGS_ASSIGN(auto first, MakeRingSource(fuse_session_fd(session_), queue));
    Crew& crew = queues.emplace_back();
    crew.queue = queue;
    crew.most_threads = PlacesInQueue(count);
    crew.first = std::move(first);
  }
  queues_.swap(queues);
  return {};
}

Status RequestLoop::Run() {
  InstallWakeSignal();
  std::unique_lock lock(mutex_);
  const Status started = ended_ ? Status() : StartCrews();
  if (!started) ended_ = true;
  changed_.wait(lock, [this] { return ended_.load(); });
  WaitForThreads(lock);
  PGS_TRY(started);
  if (error_ != 0) return Fail(Error::FromErrno(error_, "could not read from \"/dev/fuse\""));
  return {};
}

// The kernel sends no request anywhere before it has a place in each queue.
Status RequestLoop::StartCrews() {
  PGS_TRY(StartWorker(device_));
  for (Crew& queue : queues_) PGS_TRY(StartWorker(queue));
  return {};
}

void RequestLoop::WaitForThreads(std::unique_lock<std::mutex>& lock) {
  const auto all_finished = [this] { return std::ranges::all_of(workers_, &Worker::finished); };
  while (!all_finished()) {
    for (Worker& worker : workers_) {
      if (!worker.finished) pthread_kill(worker.thread.native_handle(), kWakeSignal);
    }
    changed_.wait_for(lock, kWakeInterval, all_finished);
  }
  JoinFinished();
}

void RequestLoop::Stop() { End(0); }

void RequestLoop::End(int error_number) {
  const std::scoped_lock lock(mutex_);
  ended_ = true;
  if (error_ == 0) error_ = error_number;
  changed_.notify_all();
}

Result<std::unique_ptr<RequestSource>> RequestLoop::MakeSource(Crew& crew) const {
  if (crew.first) return std::move(crew.first);
  if (crew.queue) return MakeRingSource(fuse_session_fd(session_), *crew.queue);
  return MakeClonedSource(fuse_session_fd(session_));
}

Status RequestLoop::StartWorker(Crew& crew) {
  JoinFinished();
  PGS_ASSIGN(auto source, MakeSource(crew));
  const SignalsBlocked blocked;
  Worker& worker = workers_.emplace_back();
  ++crew.running;
  ++crew.idle;
  try {
    worker.thread = std::thread([this, &worker, &crew, own = std::move(source)] { WorkerMain(worker, crew, *own); });
  } catch (const std::system_error& error) {
    workers_.pop_back();
    --crew.running;
    --crew.idle;
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

void RequestLoop::WorkerMain(Worker& worker, Crew& crew, RequestSource& source) {
  ServeRequests(crew, source);
  const std::scoped_lock lock(mutex_);
  worker.finished = true;
  --crew.running;
  changed_.notify_all();
}

void RequestLoop::ServeRequests(Crew& crew, RequestSource& source) {
  OwnRecorder recorder(counters_);
  bool served = false;
  while (!ended_) {
    const auto request = source.Next();
    if (!request && request.error() == EINTR) continue;
    if (!request && !served && source.WasRefused() && !IsDisconnect(request.error())) {
      --crew.idle;
      return LogRefusal(request.error());
    }
    if (!request) return End(IsDisconnect(request.error()) ? 0 : request.error());
    served = true;
    RequestTaken(crew);
    recorder.ProcessAndRecord(session_, source, *request);
    if (!RequestDone(crew)) return;
  }
  source.Flush();
}

void RequestLoop::RequestTaken(Crew& crew) {
  if (crew.idle.fetch_sub(1) > 1) return;
  const std::scoped_lock lock(mutex_);
  if (ended_ || crew.running >= crew.most_threads || crew.idle > 0) return;
  if (const auto started = StartWorker(crew); !started) log::Warning("{}", started.error().message());
}

bool RequestLoop::RequestDone(Crew& crew) {
  if (crew.idle.fetch_add(1) < kMostIdleThreads || crew.queue) return true;
  const std::scoped_lock lock(mutex_);
  if (ended_ || crew.idle <= kMostIdleThreads) return true;
  --crew.idle;
  return false;
}

}  // namespace pgstrata::fuse
