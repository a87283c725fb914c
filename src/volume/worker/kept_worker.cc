// The starting of a kept worker. Two forks make it a child of init. The process between them lives until the caller
// watches the worker by a pidfd: until then the worker's number cannot be anybody else's.
#include "volume/worker/kept_worker.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <utility>

#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "volume/fuse/mount.h"
#include "volume/worker/control_socket.h"
#include "volume/worker/kept_service.h"
#include "volume/worker/report.h"
#include "volume/worker/start.h"

namespace pgstrata::worker {
namespace {

using namespace std::chrono_literals;

constexpr auto kFailedEndPatience = 5s;  // for a worker that has said why it does not serve

struct Channels {
  Channel pid;
  Channel report;
};

[[noreturn]] void RunWorker(const ServedVolume& volume, const KeptWorkerOptions& options, pid_t caller,
                            io::UniqueFd report) {
  KeptService service(volume, options);
  if (const auto started = service.Start(caller); !started) {
    volume.leave();
    SendError(report.get(), started.error());
    ::_exit(1);
  }
  if (!SendMounted(report.get(), service.device())) service.EndAtOnce();
  report.Reset();
  service.Run();
}

// In the process between. Its last words are the worker's number; it stays until the other end is closed.
[[noreturn]] void ForkAgain(const ServedVolume& volume, const KeptWorkerOptions& options, pid_t caller,
                            Channels& channels) {
  channels.pid.parent_end.Reset();
  channels.report.parent_end.Reset();
  const pid_t pid = ::fork();
  if (pid == 0) {
    channels.pid.worker_end.Reset();
    RunWorker(volume, options, caller, std::move(channels.report.worker_end));
  }
  channels.report.worker_end.Reset();
  char end = 0;
  if (::write(channels.pid.worker_end.get(), &pid, sizeof pid) != sizeof pid) ::_exit(1);
  static_cast<void>(::read(channels.pid.worker_end.get(), &end, 1) != 0);
  ::_exit(0);
}

Result<io::Process> ForkTwice(const ServedVolume& volume, const KeptWorkerOptions& options, Channels& channels) {
  const pid_t caller = ::getpid();
  const AllSignalsBlocked blocked;
  const pid_t between = ::fork();
  if (between < 0) return FailErrno("could not fork the process that serves the volume");
  if (between == 0) ForkAgain(volume, options, caller, channels);
  channels.pid.worker_end.Reset();
  channels.report.worker_end.Reset();
  pid_t pid = -1;
  const ssize_t said = ::read(channels.pid.parent_end.get(), &pid, sizeof pid);
  auto worker = said == sizeof pid && pid > 0
                    ? io::Process::Adopt(pid)
                    : Fail(ErrorCode::kIo, "could not fork the process that serves the volume");
  channels.pid.parent_end.Reset();
  while (::waitpid(between, nullptr, 0) < 0 && errno == EINTR) {
  }
  return worker;
}

Status RequireNobodyListens(const std::string& control_socket) {
  const auto living = ConnectTo(control_socket);
  if (!living && living.error().code() == ErrorCode::kNotFound) return {};
  return Fail(Error(ErrorCode::kBusy, "a process serves " + Quoted(SplitLast(control_socket).first) + " already"));
}

// Nobody listens at the socket: whoever mounted for it before is dead.
Status RemoveDeadMounts(const std::string& fsname) {
  PGS_ASSIGN(const auto mounts, fuse::ListMounts());
  for (const auto& mount : mounts) {
    if (mount.source == fsname) PGS_TRY(RemoveMountOf(mount.mountpoint, mount.device()));
  }
  return {};
}

Status RequireFree(const std::string& mountpoint) {
  PGS_ASSIGN(const auto mount, fuse::FindMount(mountpoint));
  if (!mount || mount->type != fuse::kMountType) return {};
  return Fail(Error(ErrorCode::kBusy, Quoted(mount->source) + " is mounted at " + Quoted(mountpoint) + " already")
                  .WithHint("pgstrata unmount " + mountpoint));
}

// Nothing is left of a worker that did not start, however it ended.
Status TakeBack(io::Process& worker, const KeptWorkerOptions& options) {
  PGS_ASSIGN(auto ended, worker.Wait(kFailedEndPatience));
  if (!ended) PGS_TRY(worker.End(SIGKILL, kFailedEndPatience));
  PGS_TRY(RemoveDeadMounts(options.mount.fsname));
  return io::Exists(options.control_socket) ? io::RemoveFile(options.control_socket) : Status();
}

}  // namespace

Result<KeptWorker> StartKeptWorker(const ServedVolume& volume, const KeptWorkerOptions& given) {
  const auto deadline = std::chrono::steady_clock::now() + given.start_timeout;
  KeptWorkerOptions options = given;
  options.mount.fsname = std::string(SplitLast(options.control_socket).first);
  PGS_TRY(RequireNobodyListens(options.control_socket));
  PGS_TRY(RemoveDeadMounts(options.mount.fsname));
  PGS_ASSIGN(options.mount.mountpoint, fuse::ResolveMountpoint(options.mount.mountpoint));
  PGS_TRY(RequireFree(options.mount.mountpoint));
  Channels channels;
  PGS_ASSIGN(channels.pid, MakeChannel());
  PGS_ASSIGN(channels.report, MakeChannel());
  KeptWorker worker;
  PGS_ASSIGN(worker.process, ForkTwice(volume, options, channels));
  auto device = ReceiveReport(channels.report.parent_end.get(), deadline);
  if (!device) {
    channels.report.parent_end.Reset();
    if (std::chrono::steady_clock::now() >= deadline) PGS_TRY(worker.process.Signal(SIGKILL));
    PGS_TRY(TakeBack(worker.process, options));
    return Fail(std::move(device).error());
  }
  worker.device = *device;
  return worker;
}

}  // namespace pgstrata::worker
