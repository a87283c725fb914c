#include "branch/branch/end_mount.h"

#include <algorithm>
#include <csignal>
#include <optional>
#include <utility>

#include "branch/branch/diff_directory.h"
#include "branch/branch/mounted_backup.h"
#include "foundation/base/text.h"
#include "foundation/io/file.h"
#include "foundation/io/proc.h"
#include "foundation/io/process.h"
#include "volume/fuse/mount.h"
#include "volume/worker/control_client.h"
#include "volume/worker/mount_users.h"
#include "volume/worker/start.h"

namespace pgstrata::branch {
namespace {

constexpr std::chrono::seconds kWorkerKillPatience{5};
// With force nobody is waited for longer than it takes to see that a worker does not answer.
constexpr std::chrono::milliseconds kForcePatience{10'000};

class MountEnd {
 public:
  MountEnd(fuse::MountEntry mount, const EndOptions& options) : mount_(std::move(mount)), options_(options) {}

  Status Run() {
    PGS_ASSIGN(const auto socket, worker::ControlSocketOf(mount_.mountpoint));
    if (!socket) return RemoveSessionsMount();
    auto client = worker::ControlClient::ConnectIfAlive(*socket);
    if (client) return *client ? AskToQuit(**client) : RemoveDead();
    if (options_.force && client.error().code() == ErrorCode::kBusy)
      return CutOff();  // so many wait that none is let in
    return Fail(std::move(client).error());
  }

 private:
  [[nodiscard]] std::string Mountpoint() const { return Quoted(mount_.mountpoint); }
  [[nodiscard]] std::string ForceHint() const { return "pgstrata unmount --force " + mount_.mountpoint; }

  Status AskToQuit(worker::ControlClient& client) {
    auto quit =
        client.Quit(options_.force, options_.force ? std::min(options_.timeout, kForcePatience) : options_.timeout);
    if (quit) return {};
    if (!options_.force) {
      Error error = std::move(quit).error();
      if (error.code() == ErrorCode::kBusy && error.hint().empty()) {
        error = std::move(error).WithHint("end what uses it, or cut it off: " + ForceHint());
      }
      return Fail(std::move(error));
    }
    PGS_ASSIGN(const auto found, fuse::FindMount(mount_.mountpoint));
    const bool mounted = found && found->device() == mount_.device();
    if (!mounted && quit.error().code() != ErrorCode::kBusy) return Fail(std::move(quit).error());  // it has ended
    options_.warning("the process that serves " + Mountpoint() + " does not end by itself (" + quit.error().message() +
                     ") and is killed: changes that nobody had synced may be lost");
    PGS_TRY(Kill(client.pid()));
    return CutOff();
  }

  // A worker that hangs. The name of its socket comes from a mount, which anybody may have made: nothing but a worker
  // is killed.
  static Status Kill(pid_t pid) {
    if (pid <= 0) return {};
    auto process = io::Process::Adopt(pid);
    if (!process) return {};
    const auto name = io::ReadWholeFile(io::ProcPath(pid, "comm"));
    if (!name || TrimWhitespace(*name) != "pgstrata-worker") return {};
    PGS_TRY(process->Signal(SIGKILL));
    PGS_TRY(process->Wait(kWorkerKillPatience));
    return {};
  }

  Status RemoveDead() {
    options_.warning("the process that served " + Mountpoint() + " had died: changes that nobody had synced are lost");
    const auto users = worker::FindMountUsers(mount_.mountpoint);
    if (!users.empty() && !options_.force) {
      return Fail(Error(ErrorCode::kBusy, worker::DescribeUse(users, Mountpoint()))
                      .WithHint("end what uses it, or take it away: " + ForceHint()));
    }
    return CutOff();
  }

  Status RemoveSessionsMount() {
    if (options_.force) return CutOff();
    return Fail(Error(ErrorCode::kBusy, Mountpoint() + " belongs to a session of pgstrata open")
                    .WithHint("end that session, or cut it off: " + ForceHint()));
  }

  // What was there before it, or was mounted there since, is not ours.
  Status CutOff() {
    const auto users = worker::FindMountUsers(mount_.mountpoint);
    PGS_TRY(worker::RemoveMountOf(mount_.mountpoint, mount_.device()));
    if (!users.empty()) {
      options_.warning(worker::DescribeUse(users, "what was " + Mountpoint()) + ", with errors only");
    }
    if (mount_.source.starts_with('/')) TidyAfterDeadWorker(mount_.source);
    return {};
  }

  const fuse::MountEntry mount_;
  const EndOptions& options_;
};

// What serves a diff directory and is mounted nowhere here: a container has it still.
Status EndUnseen(const std::string& place, const EndOptions& options) {
  if (!ReadDiffRecord(place)) return Fail(ErrorCode::kNotFound, "nothing is mounted at " + Quoted(place));
  PGS_ASSIGN(auto client, worker::ControlClient::ConnectIfAlive(JoinPath(place, "control")));
  if (!client) return Fail(ErrorCode::kNotFound, Quoted(place) + " is not mounted");
  return client->Quit(options.force, options.timeout);
}

// What is mounted at `place`, or, alive or dead, from the diff directory `place`, which may be a disk of its own.
Result<std::optional<fuse::MountEntry>> FindMountOf(const std::string& place) {
  PGS_ASSIGN(auto mount, fuse::FindMount(place));
  if (mount && mount->type == fuse::kMountType) return mount;
  PGS_ASSIGN(const auto ours, fuse::ListMounts());
  const auto from = std::ranges::find(ours, place, &fuse::MountEntry::source);
  if (from != ours.end()) return *from;
  return mount;
}

}  // namespace

Status EndMount(const std::string& place, const EndOptions& options) {
  PGS_ASSIGN(auto mount, FindMountOf(place));
  if (!mount) return EndUnseen(place, options);
  if (mount->type != fuse::kMountType) {
    return Fail(ErrorCode::kInvalidArgument, "what is mounted at " + Quoted(place) + " is not a mount of pgstrata");
  }
  return MountEnd(*std::move(mount), options).Run();
}

}  // namespace pgstrata::branch
