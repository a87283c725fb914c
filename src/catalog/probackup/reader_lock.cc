// The protocol of the format. backup.pid is the exclusive lock: it exists while a process changes the backup, or for
// the moment in which one changes backup_ro.pid; the process's number stands in it. backup_ro.pid has the number of one
// reader on each line. Numbers of processes that are gone mean nothing, in both.
#include "catalog/probackup/reader_lock.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <thread>
#include <utility>

#include "foundation/base/log.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "foundation/io/proc.h"

namespace pgstrata::probackup {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kExclusive = "backup.pid";
constexpr std::string_view kReaders = "backup_ro.pid";
constexpr std::string_view kReadersBeingWritten = "backup_ro.pidtmp";
constexpr mode_t kLockMode = 0644;
constexpr uint64_t kLimit = 1 << 20;
constexpr auto kPatience = 3s;
constexpr auto kPause = 10ms;
constexpr pid_t kReleased = -1;  // a read that is late registers nobody any more

// A catalog that cannot be written to, for want of rights or of space, is read without a lock.
bool CannotBeWritten(const Error& error) {
  switch (error.system_errno()) {
    case EROFS:
    case EACCES:
    case EPERM:
    case ENOSPC:
    case EDQUOT:
      return true;
    default:
      return false;
  }
}

pid_t ParsePid(std::string_view text) {
  constexpr uint64_t kLargest = 1 << 30;
  const auto number = ParseDecimal(TrimWhitespace(text));
  return number && *number <= kLargest ? static_cast<pid_t>(*number) : 0;
}

// What has ended and nobody has waited for yet (a container's init may never do) has no use for a backup.
bool IsZombie(pid_t process) {
  const auto stat = io::ReadWholeFile(io::ProcPath(process, "stat"), kLimit);
  return stat && stat->substr(stat->find_last_of(')') + 1).starts_with(" Z");
}

bool IsAlive(pid_t process) { return (::kill(process, 0) == 0 || errno == EPERM) && !IsZombie(process); }

// A number is used again: only a living program that takes such locks holds one.
bool MayHold(pid_t process) {
  if (process <= 0 || !IsAlive(process)) return false;
  const auto name = io::ReadWholeFile(io::ProcPath(process, "comm"), kLimit);
  if (!name) return true;
  return name->starts_with("pg_probackup") || name->starts_with("pgstrata");
}

// What root makes in another's catalog would hinder its owner: pg_probackup stops at a lock file that it cannot read.
Status GiveToOwner(const std::string& backup, const std::string& path) {
  if (::geteuid() != 0) return {};
  PGS_ASSIGN(const auto owner, io::StatLink(backup));
  return io::ChangeOwner(path, owner.st_uid, owner.st_gid);
}

// backup.pid, held.
class ExclusiveLock {
 public:
  static Result<ExclusiveLock> Take(const std::string& backup) {
    const std::string path = JoinPath(backup, kExclusive);
    const auto until = std::chrono::steady_clock::now() + kPatience;
    while (true) {
      auto file = io::File::Open(path, O_WRONLY | O_CREAT | O_EXCL, kLockMode);
      if (file) {
        ExclusiveLock lock(path);
        PGS_TRY(GiveToOwner(backup, path));
        PGS_TRY(file->WriteAt(0, AsBytes(fmt::format("{}\n", ::getpid()))));
        return lock;
      }
      if (file.error().system_errno() != EEXIST) return Fail(std::move(file).error());
      const auto text = io::ReadWholeFile(path, kLimit);
      const bool late = std::chrono::steady_clock::now() > until;
      const pid_t holder = text ? ParsePid(*text) : 0;
      if (text && (holder != 0 || late) && !MayHold(holder)) {
        PGS_TRY(io::RemoveFile(path));  // left behind by a process that is gone
      } else if (late) {
        return Fail(
            Error(ErrorCode::kBusy, fmt::format("process {} changes the backup {}", holder, Quoted(backup)))
                .WithHint("wait for it to end: it is a pg_probackup that merges, deletes or makes this backup"));
      } else {
        std::this_thread::sleep_for(kPause);
      }
    }
  }
  ExclusiveLock(ExclusiveLock&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  ExclusiveLock& operator=(ExclusiveLock&&) = delete;
  ~ExclusiveLock() {
    if (path_.empty()) return;
    if (const auto removed = io::RemoveFile(path_); !removed) log::Warning("{}", removed.error().message());
  }

 private:
  explicit ExclusiveLock(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

// The living readers of a backup, less one line of this process where it goes: a process has as many lines as it has
// the backup open.
std::string LivingReaders(const std::string& backup, bool without_one) {
  std::string lines;
  const auto text = io::ReadWholeFile(JoinPath(backup, kReaders), kLimit);
  if (!text) return lines;
  for (const auto line : SplitLines(*text)) {
    const pid_t reader = ParsePid(line);
    if (reader == ::getpid() && std::exchange(without_one, false)) continue;
    if (reader > 0 && IsAlive(reader)) lines += fmt::format("{}\n", reader);
  }
  return lines;
}

Status WriteReaders(const std::string& backup, const std::string& lines) {
  const std::string path = JoinPath(backup, kReaders);
  if (lines.empty()) return io::Exists(path) ? io::RemoveFile(path) : Status();
  const std::string fresh = JoinPath(backup, kReadersBeingWritten);
  PGS_TRY(io::WriteWholeFile(fresh, lines, kLockMode));
  PGS_TRY(GiveToOwner(backup, fresh));
  return io::Rename(fresh, path);
}

Status SetRegistered(const std::string& backup, bool registered) {
  PGS_ASSIGN(const auto exclusive, ExclusiveLock::Take(backup));
  std::string lines = LivingReaders(backup, !registered);
  if (registered) lines += fmt::format("{}\n", ::getpid());
  return WriteReaders(backup, lines);
}

}  // namespace

Status ReaderLock::Register() {
  for (const auto& backup : backups_) {
    const auto registered = SetRegistered(backup, true);
    if (registered || CannotBeWritten(registered.error())) continue;
    return registered;
  }
  holder_.store(::getpid());
  return {};
}

Result<std::unique_ptr<ReaderLock>> ReaderLock::Take(std::vector<std::string> backups) {
  std::unique_ptr<ReaderLock> lock(new ReaderLock(std::move(backups)));
  lock->holder_.store(::getpid());  // an error takes back what was registered
  PGS_TRY(lock->Register());
  return lock;
}

ReaderLock::~ReaderLock() { Release(); }

void ReaderLock::Release() {
  const std::lock_guard guard(mutex_);
  if (holder_.load() != ::getpid()) return;
  holder_.store(kReleased);
  for (const auto& backup : backups_) {
    if (!io::Exists(JoinPath(backup, kReaders))) continue;
    const auto taken_back = SetRegistered(backup, false);
    if (!taken_back && !CannotBeWritten(taken_back.error())) log::Warning("{}", taken_back.error().message());
  }
}

void ReaderLock::KeepForThisProcess() {
  const auto is_settled = [this] {
    const pid_t holder = holder_.load(std::memory_order_relaxed);
    return holder == ::getpid() || holder == kReleased;
  };
  if (is_settled()) return;
  const std::lock_guard lock(mutex_);
  if (is_settled()) return;
  if (const auto registered = Register(); !registered) {
    log::Warning("no reader's lock: {}", registered.error().message());
    holder_.store(::getpid());
  }
}

}  // namespace pgstrata::probackup
