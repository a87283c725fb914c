#include "branch/branch/session_directory.h"

#include <fcntl.h>
#include <unistd.h>

#include "branch/branch/home.h"
#include "branch/branch/left_server.h"
#include "branch/branch/socket_directory.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "volume/fuse/mount.h"

namespace pgstrata::branch {
namespace {

constexpr std::string_view kSessionPrefix = "open-";

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

LeftServer ServerOf(const std::string& session) {
  return {.directory = session, .pid_file = session + "/server.pid", .data_directory = session + "/mnt"};
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
  PGS_ASSIGN(session.path_, io::MakeTemporaryDirectory(JoinPath(SessionsDirectory(home), kSessionPrefix)));
  PGS_ASSIGN(session.lock_, io::FileLock::TryAcquire(session.path_ + "/lock"));
  PGS_TRY(io::WriteWholeFile(session.path_ + "/source", source));
  PGS_TRY(io::MakeDirectories(session.mountpoint(), kPrivate));
  if (owner.uid != ::geteuid()) {
    PGS_TRY(io::ChangeOwner(session.path_, owner.uid, owner.gid));
    PGS_TRY(io::ChangeOwner(session.mountpoint(), owner.uid, owner.gid));
  }
  PGS_ASSIGN(session.socket_directory_, MakeSocketDirectory(session.path_, session.path_ + "/socket", owner));
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

Status EndServerOf(const std::string& path) { return EndServer(ServerOf(path)); }

Status UnmountSession(const std::string& path) {
  return fuse::Unmount(path + "/mnt", {.lazy = true, .abort_first = true});
}

Status RemoveSession(const std::string& path) {
  PGS_TRY(RemoveSocketDirectory(path + "/socket"));
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
    leftover.server = FindPostmaster(ServerOf(leftover.path));
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
