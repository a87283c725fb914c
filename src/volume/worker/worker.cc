// Invariants:
//   - The worker touches no path inside its own mount.
//   - It is told of the parent's end twice: by the lifetime pipe and by the parent's pidfd. The pipe alone would stay
//     open if the parent forked another worker meanwhile, the pidfd alone cannot say goodbye.
//   - One thread decides (poll), the session's threads serve. Whatever arrives meanwhile, every way out leads through
//     End.
//   - The worker leaves by _exit: what the parent built (exit handlers, buffers, destructors) is the parent's to undo.
#include "volume/worker/worker.h"

#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <system_error>
#include <thread>
#include <utility>

#include "foundation/base/log.h"
#include "volume/fuse/mount.h"
#include "volume/worker/detach.h"
#include "volume/worker/report.h"
#include "volume/worker/start.h"

namespace pgstrata::worker {
namespace {

constexpr char kGoodbye = 'q';
constexpr std::chrono::seconds kDefaultGrace{5};

enum class Cause { kGoodbye, kParentDied, kTerminated, kUnmounted };

// The worker's own life, in the child.
class Service {
 public:
  Service(vfs::FileSystem& volume, fuse::StartedMount& started, const WorkerOptions& options, io::UniqueFd lifetime)
      : volume_(volume), started_(started), options_(options), lifetime_(std::move(lifetime)) {}

  Status Start(pid_t parent) {
    PGS_TRY(Detach(options_.keep_open));
    ::mallopt(M_ARENA_MAX, 1);  // an arena for each thread costs more system calls than the threads' locks cost
    if (!options_.log_file.empty()) PGS_TRY(log::ToFile(options_.log_file));
    parent_ = io::UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, parent, 0)));
    if (!parent_.valid() || ::getppid() != parent) return Fail(ErrorCode::kCancelled, "the parent is gone");
    if (options_.on_start) options_.on_start();
    sigset_t terminate;
    sigemptyset(&terminate);
    sigaddset(&terminate, SIGTERM);
    signals_ = io::UniqueFd(::signalfd(-1, &terminate, SFD_CLOEXEC));
    ended_ = io::UniqueFd(::eventfd(0, EFD_CLOEXEC));
    if (!signals_.valid() || !ended_.valid()) return FailErrno("could not make a worker's descriptors");
    PGS_ASSIGN(session_, fuse::Session::Mount(volume_, started_));
    fuse::RaiseBdiLimits(session_->mount());
    try {
      std::thread([this] { Serve(); }).detach();  // nobody waits for it: Run ends the process, whatever still hangs
    } catch (const std::system_error& error) {
      return Fail(Error::FromErrno(error.code().value(), "could not start a thread"));
    }
    return {};
  }

  [[nodiscard]] dev_t device() const { return session_->mount().device(); }

  [[noreturn]] void Run() {
    const Cause cause = WaitForEnd();
    if (cause == Cause::kParentDied && options_.on_parent_death) options_.on_parent_death();
    if (const auto removed = session_->Unmount(); !removed) log::Error("{}", removed.error().message());
    if (cause == Cause::kParentDied && options_.after_parent_death) options_.after_parent_death();
    if (options_.on_end) options_.on_end();
    ::_exit(0);
  }

 private:
  void Serve() {
    if (const auto served = session_->Serve(); !served) log::Error("{}", served.error().message());
    ::eventfd_write(ended_.get(), 1);
  }

  Cause WaitForEnd() {
    std::array<pollfd, 4> polled{pollfd{lifetime_.get(), POLLIN, 0}, pollfd{parent_.get(), POLLIN, 0},
                                 pollfd{signals_.get(), POLLIN, 0}, pollfd{ended_.get(), POLLIN, 0}};
    while (::poll(polled.data(), polled.size(), -1) < 0) {
    }
    // The pipe first: a parent that said goodbye may be gone by now.
    if (polled[0].revents != 0) {
      char byte = 0;
      return ::read(lifetime_.get(), &byte, 1) == 1 && byte == kGoodbye ? Cause::kGoodbye : Cause::kParentDied;
    }
    if (polled[1].revents != 0) return Cause::kParentDied;
    if (polled[2].revents != 0) return Cause::kTerminated;
    return Cause::kUnmounted;
  }

  vfs::FileSystem& volume_;
  fuse::StartedMount& started_;
  const WorkerOptions& options_;
  io::UniqueFd lifetime_;
  io::UniqueFd parent_;
  io::UniqueFd signals_;
  io::UniqueFd ended_;
  std::unique_ptr<fuse::Session> session_;
};

[[noreturn]] void RunChild(vfs::FileSystem& volume, fuse::StartedMount& mount, const WorkerOptions& options,
                           pid_t parent, io::UniqueFd lifetime, io::UniqueFd report) {
  Service service(volume, mount, options, std::move(lifetime));
  if (const auto started = service.Start(parent); !started) {
    if (options.on_end) options.on_end();
    SendError(report.get(), started.error());
    ::_exit(1);
  }
  SendMounted(report.get(), service.device());
  report.Reset();
  service.Run();
}

// Returns in the parent only.
Result<pid_t> Fork(vfs::FileSystem& volume, fuse::StartedMount& mount, const WorkerOptions& options, Channel& lifetime,
                   Channel& report) {
  const pid_t parent = ::getpid();
  const AllSignalsBlocked blocked;
  const pid_t pid = ::fork();
  if (pid < 0) return FailErrno("could not fork the process that serves the volume");
  if (pid > 0) return pid;
  lifetime.parent_end.Reset();
  report.parent_end.Reset();
  RunChild(volume, mount, options, parent, std::move(lifetime.worker_end), std::move(report.worker_end));
}

}  // namespace

Worker& Worker::operator=(Worker&& other) noexcept {
  if (this == &other) return *this;
  if (const auto stopped = Stop(kDefaultGrace); !stopped) log::Warning("{}", stopped.error().message());
  process_ = std::move(other.process_);
  lifetime_ = std::move(other.lifetime_);
  detaching_ = std::exchange(other.detaching_, std::nullopt);
  mountpoint_ = std::exchange(other.mountpoint_, {});
  device_ = other.device_;
  return *this;
}

Worker::~Worker() {
  if (const auto stopped = Stop(kDefaultGrace); !stopped) log::Warning("{}", stopped.error().message());
}

Status Worker::BeginToDetach() {
  PGS_ASSIGN(detaching_, fuse::BeginToDetach(mountpoint_));
  return {};
}

Status Worker::Stop(std::chrono::milliseconds grace) {
  if (mountpoint_.empty()) return {};
  if (detaching_) PGS_TRY(detaching_->Wait());
  if (lifetime_.valid()) {
    // It fails where the worker has ended already.
    ::send(lifetime_.get(), &kGoodbye, 1, MSG_NOSIGNAL);
    lifetime_.Reset();
  }
  PGS_ASSIGN(auto ended, process_.Wait(grace));
  if (!ended) PGS_TRY(process_.Signal(SIGKILL));
  PGS_TRY(RemoveMountOf(mountpoint_, device_));
  if (!ended) {
    PGS_ASSIGN(ended, process_.Wait(kDefaultGrace));
    if (!ended) return Fail(ErrorCode::kBusy, "the process that serves \"" + mountpoint_ + "\" cannot be killed");
  }
  mountpoint_.clear();
  return {};
}

Result<Worker> StartWorker(vfs::FileSystem& volume, fuse::StartedMount& started, const WorkerOptions& options) {
  const std::string& mountpoint = started.options().mountpoint;
  PGS_ASSIGN(const auto mounted_before, fuse::FindMount(mountpoint));
  PGS_ASSIGN(Channel lifetime, MakeChannel());
  PGS_ASSIGN(Channel report, MakeChannel());
  PGS_ASSIGN(const pid_t pid, Fork(volume, started, options, lifetime, report));
  Worker worker;
  PGS_ASSIGN(worker.process_, io::Process::Adopt(pid));
  lifetime.worker_end.Reset();
  report.worker_end.Reset();
  auto device = ReceiveReport(report.parent_end.get());
  if (!device) {
    lifetime.parent_end.Reset();
    PGS_TRY(worker.process_.Wait());
    // It may have been killed between mounting and saying so.
    PGS_ASSIGN(const auto mounted, fuse::FindMount(mountpoint));
    if (mounted && (!mounted_before || mounted->device() != mounted_before->device())) {
      PGS_TRY(RemoveMountOf(mountpoint, mounted->device()));
    }
    return Fail(std::move(device).error());
  }
  started.GiveAway();
  worker.lifetime_ = std::move(lifetime.parent_end);
  worker.mountpoint_ = mountpoint;
  worker.device_ = *device;
  return worker;
}

}  // namespace pgstrata::worker
