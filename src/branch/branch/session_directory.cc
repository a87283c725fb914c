#include "branch/branch/session_directory.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>

#include "branch/branch/home.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "postgres/instance/server.h"
#include "volume/fuse/mount.h"

namespace pgstrata::branch {
namespace {

using namespace std::chrono_literals;

constexpr auto kServerGrace = 5s;
constexpr std::string_view kSessionPrefix = "open-";
constexpr std::string_view kSocketDirectory = "/tmp/pgstrata-";
// ".s.PGSQL.5432.lock" and its slash.
constexpr size_t kLongestSocketName = 20;

Result<std::string> MakeTemporaryDirectory(std::string pattern) {
  pattern += "XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) return FailErrno("could not create a directory \"" + pattern + '"');
  return pattern;
}

// The directory of all sessions, locked: while a session is made nobody may take it for a leftover, or its parent for
// empty.
Result<io::FileLock> EnterSessions(const std::string& sessions, mode_t mode) {
  while (true) {
    PGS_TRY(io::MakeDirectories(sessions, mode));
    auto lock = io::FileLock::AcquireOnDirectory(sessions);
    if (!lock && lock.error().code() != ErrorCode::kNotFound) return lock;
    // The last session to end may have removed it between the two, or while we waited for the lock.
    if (lock && lock->StillAt(sessions)) return lock;
  }
}

Result<std::string> MakeSocketDirectory(const std::string& session, const io::UserIdentity& owner) {
  if (session.size() + kLongestSocketName < sizeof(sockaddr_un::sun_path)) return session;
  PGS_ASSIGN(std::string directory, MakeTemporaryDirectory(std::string(kSocketDirectory)));
  PGS_TRY(io::ChangeOwner(directory, owner.uid, owner.gid));
  if (::symlink(directory.c_str(), (session + "/socket").c_str()) != 0) {
    return FailErrno("could not create \"" + session + "/socket\"");
  }
  return directory;
}

// The session is its server's to write: a link in it is believed only as far as it was made here.
bool IsSocketDirectory(std::string_view path) {
  constexpr size_t kRandom = 6;  // mkdtemp(3)
  return path.starts_with(kSocketDirectory) && path.size() == kSocketDirectory.size() + kRandom &&
         path.find('/', kSocketDirectory.size()) == std::string_view::npos;
}

// Whether `pid` is a server of this session: its command line names the session's directory. A reused pid does not.
bool IsServerOf(pid_t pid, const std::string& session) {
  const auto command_line = io::ReadWholeFile(fmt::format("/proc/{}/cmdline", pid));
  return command_line && command_line->contains(session + '/');
}

std::optional<pid_t> RunningServer(const std::string& session) {
  const auto text = io::ReadWholeFile(session + "/server.pid");
  if (!text) return std::nullopt;
  const auto pid = ParseDecimal(TrimWhitespace(*text));
  if (!pid || !IsServerOf(static_cast<pid_t>(*pid), session)) return std::nullopt;
  return static_cast<pid_t>(*pid);
}

Status RemoveSessionsIfEmpty(const std::string& sessions) {
  const auto lock = io::FileLock::AcquireOnDirectory(sessions);
  if (!lock) return lock.error().code() == ErrorCode::kNotFound ? Status{} : Status(std::unexpected(lock.error()));
  if (::rmdir(sessions.c_str()) == 0 || errno == ENOTEMPTY || errno == EEXIST || errno == ENOENT) return {};
  return FailErrno("could not remove \"" + sessions + '"');
}

}  // namespace

Result<SessionDirectory> SessionDirectory::Create(const std::string& home, const io::UserIdentity& owner,
                                                  std::string_view source) {
  // The server's user has to pass through; what a session holds is closed to others by the session's own mode.
  constexpr mode_t kPassable = 0711;
  constexpr mode_t kPrivate = 0700;
  SessionDirectory session;
  session.owner_ = owner;
  PGS_ASSIGN(const auto making, EnterSessions(SessionsDirectory(home), kPassable));
  PGS_ASSIGN(session.path_, MakeTemporaryDirectory(SessionsDirectory(home) + '/' + std::string(kSessionPrefix)));
  PGS_ASSIGN(session.lock_, io::FileLock::TryAcquire(session.path_ + "/lock"));
  PGS_TRY(io::WriteWholeFile(session.path_ + "/source", source));
  PGS_TRY(io::MakeDirectories(session.mountpoint(), kPrivate));
  if (owner.uid != ::geteuid()) {
    PGS_TRY(io::ChangeOwner(session.path_, owner.uid, owner.gid));
    PGS_TRY(io::ChangeOwner(session.mountpoint(), owner.uid, owner.gid));
  }
  PGS_ASSIGN(session.socket_directory_, MakeSocketDirectory(session.path_, owner));
  return session;
}

Status SessionDirectory::WriteFile(std::string_view name, std::string_view content) const {
  const std::string path = File(name);
  if (io::Exists(path)) PGS_TRY(io::RemoveFile(path));
  // Never through a link that the server's user may have put there.
  PGS_ASSIGN(io::File file, io::File::Open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
  PGS_TRY(file.WriteAt(0, AsBytes(content)));
  if (owner_.uid == ::geteuid()) return {};
  return io::ChangeOwner(path, owner_.uid, owner_.gid);
}

Status EndServerOf(const std::string& path) {
  const auto pid = RunningServer(path);
  if (pid) {
    PGS_ASSIGN(io::Process server, io::Process::Adopt(*pid));
    PGS_TRY(server.Signal(SIGQUIT));
    PGS_TRY(server.Signal(SIGCONT));  // whoever died may have held its connections
    PGS_ASSIGN(const auto ended, server.Wait(kServerGrace));
    if (ended) return {};  // and it has waited for its children
  }
  return instance::EndServerProcesses(path + "/mnt");
}

Status UnmountSession(const std::string& path) {
  return fuse::Unmount(path + "/mnt", {.lazy = true, .abort_first = true});
}

Status RemoveSession(const std::string& path) {
  if (const auto socket = io::ReadLink(path + "/socket"); socket && IsSocketDirectory(*socket)) {
    PGS_TRY(io::RemoveTree(*socket));
  }
  PGS_TRY(io::RemoveTree(path));
  return RemoveSessionsIfEmpty(path.substr(0, path.find_last_of('/')));
}

Result<std::vector<Leftover>> FindLeftovers(const std::string& home) {
  const std::string sessions = SessionsDirectory(home);
  std::vector<Leftover> leftovers;
  if (!io::Exists(sessions)) return leftovers;
  PGS_ASSIGN(const auto making, io::FileLock::AcquireOnDirectory(sessions));
  PGS_ASSIGN(const auto names, io::ListDirectory(sessions));
  PGS_ASSIGN(const auto mounts, fuse::ListMounts());
  for (const auto& name : names) {
    if (!name.starts_with(kSessionPrefix)) continue;
    Leftover leftover{.path = JoinPath(sessions, name)};
    PGS_ASSIGN(const bool held, io::FileLock::IsHeld(leftover.path + "/lock"));
    if (held) continue;
    leftover.source = io::ReadWholeFile(leftover.path + "/source").value_or("unknown source");
    leftover.server = RunningServer(leftover.path);
    for (const auto& mount : mounts) leftover.mounted |= mount.mountpoint == leftover.path + "/mnt";
    leftovers.push_back(std::move(leftover));
  }
  return leftovers;
}

Status Repair(const Leftover& leftover) {
  PGS_TRY(EndServerOf(leftover.path));
  if (leftover.mounted) PGS_TRY(UnmountSession(leftover.path));
  return RemoveSession(leftover.path);
}

}  // namespace pgstrata::branch
