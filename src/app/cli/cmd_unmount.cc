#include <algorithm>
#include <chrono>
#include <csignal>
#include <memory>
#include <optional>
#include <ostream>
#include <string_view>

#include "app/cli/command.h"
#include "app/cli/exit_status.h"
#include "app/cli/seconds.h"
#include "branch/branch/diff_directory.h"
#include "branch/branch/mounted_backup.h"
#include "foundation/base/text.h"
#include "foundation/io/file.h"
#include "foundation/io/proc.h"
#include "foundation/io/process.h"
#include "volume/fuse/mount.h"
#include "volume/worker/control_client.h"
#include "volume/worker/mount_users.h"

namespace pgstrata::cli {
namespace {

using namespace std::chrono_literals;

constexpr auto kKillPatience = 5s;
// With --force nobody is waited for longer than it takes to see that a worker does not answer.
constexpr auto kForcePatience = 10s;

struct UnmountArguments {
  std::string place;
  std::string timeout = "60";
  bool force = false;
};

class Unmounting {
 public:
  Unmounting(fuse::MountEntry mount, bool force, std::chrono::seconds timeout, std::ostream& err)
      : mount_(std::move(mount)), force_(force), timeout_(timeout), err_(err) {}

  Status Run() {
    PGS_ASSIGN(const auto socket, worker::ControlSocketOf(mount_.mountpoint));
    if (!socket) return RemoveSessionsMount();
    auto client = worker::ControlClient::ConnectIfAlive(*socket);
    if (client) return *client ? AskToQuit(**client) : RemoveDead();
    if (force_ && client.error().code() == ErrorCode::kBusy) return CutOff();  // so many wait that none is let in
    return Fail(std::move(client).error());
  }

 private:
  [[nodiscard]] std::string Mountpoint() const { return Quoted(mount_.mountpoint); }
  [[nodiscard]] std::string ForceHint() const { return "pgstrata unmount --force " + mount_.mountpoint; }

  Status AskToQuit(worker::ControlClient& client) {
    auto quit = client.Quit(force_, force_ ? std::min<std::chrono::seconds>(timeout_, kForcePatience) : timeout_);
    if (quit) return {};
    if (!force_) {
      Error error = std::move(quit).error();
      if (error.code() == ErrorCode::kBusy && error.hint().empty()) {
        error = std::move(error).WithHint("end what uses it, or cut it off: " + ForceHint());
      }
      return Fail(std::move(error));
    }
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
    PGS_TRY(process->Wait(kKillPatience));
    return {};
  }

  Status RemoveDead() {
    err_ << "pgstrata: warning: the process that served " << Mountpoint()
         << " had died: changes that nobody had synced are lost" << std::endl;
    const auto users = worker::FindMountUsers(mount_.mountpoint);
    if (!users.empty() && !force_) {
      return Fail(Error(ErrorCode::kBusy, worker::DescribeUse(users, Mountpoint()))
                      .WithHint("end what uses it, or take it away: " + ForceHint()));
    }
    return CutOff();
  }

  Status RemoveSessionsMount() {
    if (force_) return CutOff();
    return Fail(Error(ErrorCode::kBusy, Mountpoint() + " belongs to a session of pgstrata open")
                    .WithHint("end that session, or cut it off: " + ForceHint()));
  }

  Status CutOff() {
    const auto users = worker::FindMountUsers(mount_.mountpoint);
    PGS_TRY(fuse::Unmount(mount_.mountpoint, {.lazy = true, .abort_first = true}));
    if (!users.empty()) {
      err_ << "pgstrata: warning: " << worker::DescribeUse(users, "what was " + Mountpoint()) << ", with errors only"
           << std::endl;
    }
    if (mount_.source.starts_with('/')) branch::TidyAfterDeadWorker(mount_.source);
    return {};
  }

  const fuse::MountEntry mount_;
  const bool force_;
  const std::chrono::seconds timeout_;
  std::ostream& err_;
};

// What is mounted at `place`, or, alive or dead, from the diff directory `place`, which may be a disk of its own.
Result<std::optional<fuse::MountEntry>> FindMountOf(const std::string& place) {
  PGS_ASSIGN(auto mount, fuse::FindMount(place));
  if (mount && mount->type == fuse::kMountType) return mount;
  PGS_ASSIGN(const auto ours, fuse::ListMounts());
  const auto from = std::ranges::find(ours, place, &fuse::MountEntry::source);
  if (from != ours.end()) return *from;
  return mount;
}

// What serves a diff directory and is mounted nowhere here: a container has it still.
Status EndUnseen(const std::string& place, bool force, std::chrono::seconds timeout) {
  if (!branch::ReadDiffRecord(place)) return Fail(ErrorCode::kNotFound, "nothing is mounted at " + Quoted(place));
  PGS_ASSIGN(auto client, worker::ControlClient::ConnectIfAlive(JoinPath(place, "control")));
  if (!client) return Fail(ErrorCode::kNotFound, Quoted(place) + " is not mounted");
  return client->Quit(force, timeout);
}

Result<int> RunUnmount(const UnmountArguments& arguments, Output& output) {
  PGS_ASSIGN(const auto timeout, ParseSeconds("--timeout", arguments.timeout));
  PGS_ASSIGN(const std::string place, fuse::ResolveMountpoint(arguments.place));
  PGS_ASSIGN(auto mount, FindMountOf(place));
  if (!mount) {
    PGS_TRY(EndUnseen(place, arguments.force, timeout));
    return kExitOk;
  }
  if (mount->type != fuse::kMountType) {
    return Fail(ErrorCode::kInvalidArgument, "what is mounted at " + Quoted(place) + " is not a mount of pgstrata");
  }
  PGS_TRY(Unmounting(*std::move(mount), arguments.force, timeout, output.err).Run());
  return kExitOk;
}

}  // namespace

void AddUnmountCommand(CommandLine& line) {
  auto arguments = std::make_shared<UnmountArguments>();
  Command command = line.Add("unmount", "End a mount, with everything that was written made durable");
  command.Required("PLACE", arguments->place, "Where it is mounted, or its diff directory");
  command.Flag("--force", arguments->force, "Also where it is in use, hangs, or its process has died");
  command.Option("--timeout", "SECONDS", arguments->timeout, "How long to wait for that (default: 60)");
  command.Examples({"pgstrata unmount /srv/monday", "pgstrata umount --force /srv/monday"});
  command.Run([arguments](Output& output) { return RunUnmount(*arguments, output); });
}

}  // namespace pgstrata::cli
