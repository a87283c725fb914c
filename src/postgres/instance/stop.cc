// Ending a server.
//
// A postmaster that ends by itself has reaped all its children first, so a server that stops when asked leaves nothing.
// One that is killed (by us, after the grace period, or by somebody else) leaves children that notice its death only
// when they next wait for something, a SysV segment that the next start on the directory would remove, and files in
// /dev/shm. So to kill: stop the postmaster, so that it forks no more and reaps nobody (the pids of its children stay
// theirs), kill every child with its process group (a backend's shell commands are in it), then kill the postmaster,
// wait for all of them, and remove the memory.

#include <sys/shm.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <set>
#include <thread>

#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "foundation/io/proc.h"
#include "postgres/instance/server.h"

namespace pgstrata::instance {
namespace {

using std::chrono::milliseconds;

// How long a process that was sent SIGKILL may take to be gone (it may be inside a file operation that cannot be
// interrupted).
constexpr milliseconds kKillPatience(10'000);

struct ProcessStat {
  char state = '?';
  pid_t parent = 0;
};

// From /proc/PID/stat: "1234 (name, which may hold anything) S 1 ...".
std::optional<ProcessStat> StatOf(pid_t pid) {
  const auto text = io::ReadWholeFile(io::ProcPath(pid, "stat"), 1 << 16);
  if (!text) return std::nullopt;
  const size_t at = text->rfind(") ");
  if (at == std::string::npos) return std::nullopt;
  const auto fields = Split(std::string_view(*text).substr(at + 2), ' ');
  if (fields.size() < 2 || fields[0].size() != 1) return std::nullopt;
  const auto parent = ParseDecimal(fields[1]);
  if (!parent) return std::nullopt;
  return ProcessStat{fields[0][0], static_cast<pid_t>(*parent)};
}

std::vector<pid_t> ChildrenOf(pid_t parent) {
  std::vector<pid_t> children;
  for (const pid_t pid : io::ListProcesses()) {
    const auto stat = StatOf(pid);
    if (stat && stat->parent == parent) children.push_back(pid);
  }
  return children;
}

void WaitUntilStopped(pid_t pid) {
  constexpr int kTries = 1000;
  for (int i = 0; i < kTries; ++i) {
    const auto stat = StatOf(pid);
    if (!stat || stat->state == 'T' || stat->state == 'Z') return;
    std::this_thread::sleep_for(milliseconds(1));
  }
}

// Files of POSIX shared memory that a process has mapped, by their paths.
void CollectSharedMemoryFiles(pid_t pid, std::set<std::string>& paths) {
  constexpr std::string_view kPrefix = "/dev/shm/PostgreSQL.";
  const auto maps = io::ReadWholeFile(io::ProcPath(pid, "maps"));
  if (!maps) return;
  for (const auto line : SplitLines(*maps)) {
    const size_t at = line.find(kPrefix);
    if (at == std::string_view::npos) continue;
    const std::string_view path = line.substr(at);
    if (!path.ends_with(" (deleted)")) paths.emplace(path);
  }
}

// Removes the server's SysV segment, if it is still that server's and nobody is attached.
void RemoveSharedMemory(const PostmasterFile& file) {
  if (file.shared_memory_id < 0) return;
  shmid_ds segment{};
  if (::shmctl(file.shared_memory_id, IPC_STAT, &segment) != 0) return;
  const bool same = segment.shm_cpid == file.pid &&
                    static_cast<uint32_t>(segment.shm_perm.__key) == static_cast<uint32_t>(file.shared_memory_key);
  if (same && segment.shm_nattch == 0) ::shmctl(file.shared_memory_id, IPC_RMID, nullptr);
}

std::optional<PostmasterFile> ReadPostmasterFile(const std::string& data_directory) {
  const auto text = io::ReadWholeFile(data_directory + "/postmaster.pid", 1 << 16);
  return text ? ParsePostmasterFile(*text) : std::nullopt;
}

// Kills processes by pidfd and waits until they are gone.
class Victims {
 public:
  void Add(pid_t pid) {
    auto process = io::Process::Adopt(pid);
    if (!process) return;  // gone already
    CollectSharedMemoryFiles(pid, shared_memory_files_);
    processes_.push_back(*std::move(process));
  }
  [[nodiscard]] bool empty() const { return processes_.empty(); }

  Status Kill() {
    for (auto& process : processes_) PGS_TRY(process.Signal(SIGKILL));
    for (auto& process : processes_) {
      PGS_ASSIGN(const auto status, process.Wait(kKillPatience));
      if (!status) {
        return Fail(ErrorCode::kBusy, "process " + std::to_string(process.pid()) + " of the server cannot be killed");
      }
    }
    processes_.clear();
    return {};
  }
  void RemoveSharedMemoryFiles() {
    for (const auto& path : shared_memory_files_) (void)io::RemoveFile(path);
  }

 private:
  std::vector<io::Process> processes_;
  std::set<std::string> shared_memory_files_;
};

// The path by which the kernel shows a working directory. The last part is not looked at: it may be a dead mount.
std::string KernelPath(const std::string& directory) {
  if (auto resolved = io::ResolvePath(directory)) return *resolved;
  const size_t slash = directory.rfind('/');
  if (slash == std::string::npos || slash == 0) return directory;
  auto parent = io::ResolvePath(directory.substr(0, slash));
  return parent ? JoinPath(*parent, directory.substr(slash + 1)) : directory;
}

bool IsServerProcessOf(pid_t pid, const std::string& kernel_path) {
  const auto name = io::ReadWholeFile(io::ProcPath(pid, "comm"), 1 << 10);
  if (!name || TrimWhitespace(*name) != "postgres") return false;
  const auto directory = io::ReadLink(io::ProcPath(pid, "cwd"));
  return directory && (*directory == kernel_path || *directory == kernel_path + " (deleted)");
}

}  // namespace

std::vector<pid_t> FindServerProcesses(const std::string& data_directory) {
  const std::string path = KernelPath(data_directory);
  std::vector<pid_t> found;
  for (const pid_t pid : io::ListProcesses()) {
    if (IsServerProcessOf(pid, path)) found.push_back(pid);
  }
  return found;
}

Status EndServerProcesses(const std::string& data_directory) {
  constexpr int kRounds = 20;  // a postmaster may fork between the look and the kill
  const auto file = ReadPostmasterFile(data_directory);
  Victims victims;
  for (int round = 0; round < kRounds; ++round) {
    for (const pid_t pid : FindServerProcesses(data_directory)) victims.Add(pid);
    if (victims.empty()) {
      victims.RemoveSharedMemoryFiles();
      if (round > 0 && file) RemoveSharedMemory(*file);
      return {};
    }
    PGS_TRY(victims.Kill());
  }
  return Fail(ErrorCode::kBusy, "servers keep starting on \"" + data_directory + '"');
}

Status StopServer(Server& server, StopMode mode, milliseconds grace) {
  if (!server.owned_) return {};
  PGS_TRY(server.process_.Signal(mode == StopMode::kFast ? SIGINT : SIGQUIT));
  PGS_TRY(server.AdmitConnections());  // it could be held: then it would not see the signal
  PGS_ASSIGN(std::optional<io::ExitStatus> status, server.process_.Wait(grace));
  if (status && status->signal == 0) {
    server.owned_ = false;
    return {};
  }
  const std::string& data_directory = server.options_.data_directory;
  const auto file = server.postmaster_ ? server.postmaster_ : ReadPostmasterFile(data_directory);
  Victims victims;
  if (!status) {
    PGS_TRY(server.process_.Signal(SIGSTOP));
    WaitUntilStopped(server.pid());
    for (const pid_t child : ChildrenOf(server.pid())) {
      victims.Add(child);
      ::kill(-child, SIGKILL);
    }
    PGS_TRY(server.process_.End(SIGKILL, kKillPatience));
  }
  // Killed by somebody else, its children have other parents by now: they are known by where they work.
  for (const pid_t pid : FindServerProcesses(data_directory)) victims.Add(pid);
  PGS_TRY(victims.Kill());
  victims.RemoveSharedMemoryFiles();
  if (file && file->pid == server.pid()) RemoveSharedMemory(*file);
  server.owned_ = false;
  return {};
}

}  // namespace pgstrata::instance
