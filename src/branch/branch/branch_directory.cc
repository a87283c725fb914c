#include "branch/branch/branch_directory.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/random.h>
#include <unistd.h>

#include <array>

#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/lock.h"

namespace pgstrata::branch {
namespace {

// The server's user has to pass through; what is not meant for it is closed by its own mode.
constexpr mode_t kPassable = 0711;
constexpr mode_t kPrivate = 0700;
constexpr size_t kIdDigits = 8;

struct flock WholeFile(short type) {
  struct flock lock{};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  return lock;
}

// Who holds the lock of an open file, if somebody does.
std::optional<pid_t> HolderOf(const io::File& file) {
  struct flock lock = WholeFile(F_WRLCK);
  if (::fcntl(file.fd(), F_GETLK, &lock) != 0 || lock.l_type == F_UNLCK) return std::nullopt;
  return lock.l_pid;
}

}  // namespace

std::string BranchesDirectory(const std::string& home) { return JoinPath(home, "branches"); }
std::string LayersDirectory(const std::string& home) { return JoinPath(home, "layers"); }
std::string ClustersDirectory(const std::string& home) { return JoinPath(home, "clusters"); }
std::string LayerDirectory(const std::string& home, std::string_view layer) {
  return JoinPath(LayersDirectory(home), layer);
}
std::string_view BranchOfLayer(std::string_view layer) { return layer.substr(0, layer.find('-')); }

BranchDirectory::BranchDirectory(const std::string& home, std::string_view id)
    : path_(JoinPath(BranchesDirectory(home), id)) {}

std::string BranchDirectory::socket_directory() const { return io::ReadLink(socket_link()).value_or(run()); }

LeftServer BranchDirectory::server() const {
  return {.directory = path_, .pid_file = run() + "/server.pid", .data_directory = mountpoint()};
}

Result<BranchLock> BranchLock::TryAcquire(const BranchDirectory& directory, std::string_view name,
                                          std::string_view words) {
  PGS_ASSIGN(auto file, io::File::Open(directory.lock(), O_RDWR));
  return Acquire(std::move(file), name, words);
}

Result<BranchLock> BranchLock::TryAcquireForMerging(const BranchDirectory& directory, std::string_view name,
                                                    std::string_view words) {
  PGS_ASSIGN(auto file, io::File::Open(directory.merging(), O_RDWR | O_CREAT));
  return Acquire(std::move(file), name, words);
}

Result<BranchLock> BranchLock::Acquire(io::File file, std::string_view name, std::string_view words) {
  BranchLock lock;
  lock.file_ = std::move(file);
  struct flock whole = WholeFile(F_WRLCK);
  while (::fcntl(lock.file_.fd(), F_SETLK, &whole) != 0) {
    if (errno != EAGAIN && errno != EACCES) return FailErrno("could not lock " + Quoted(lock.file_.path()));
    const auto holder = HolderOf(lock.file_);
    if (!holder) continue;  // it has ended since
    std::string doing(64, '\0');
    doing.resize(lock.file_.ReadAt(0, std::as_writable_bytes(std::span(doing))).value_or(0));
    return Fail(Error(ErrorCode::kBusy, fmt::format("process {} is at work on branch {}: {}", *holder, Quoted(name),
                                                    TrimWhitespace(doing)))
                    .WithHint("try again when it is done"));
  }
  PGS_TRY(lock.file_.Truncate(0));
  PGS_TRY(lock.file_.WriteAt(0, AsBytes(std::string(words) + '\n')));
  return lock;
}

Result<bool> BranchLock::IsHeld(const BranchDirectory& directory) {
  auto file = io::File::Open(directory.lock(), O_RDWR);
  if (file) return HolderOf(*file).has_value();
  if (file.error().code() == ErrorCode::kNotFound) return false;
  return Fail(std::move(file).error());
}

Result<std::optional<pid_t>> BranchLock::Merger(const BranchDirectory& directory) {
  auto file = io::File::Open(directory.merging(), O_RDWR);
  if (file) return HolderOf(*file);
  if (file.error().code() == ErrorCode::kNotFound) return std::nullopt;
  return Fail(std::move(file).error());
}

std::string RandomDigits(size_t count) {
  std::string digits;
  while (digits.size() < count) {
    uint32_t number = 0;
    if (::getrandom(&number, sizeof number, 0) != sizeof number) continue;
    digits += fmt::format("{:08x}", number);
  }
  digits.resize(count);
  return digits;
}

Status MakeOwnedDirectory(const std::string& path, const io::UserIdentity& owner) {
  PGS_TRY(io::MakeDirectories(path, kPrivate));
  if (owner.uid == ::geteuid()) return {};
  return io::ChangeOwner(path, owner.uid, owner.gid);
}

Result<NewBranch> MakeBranchDirectory(const std::string& home, const io::UserIdentity& owner, std::string_view words) {
  PGS_TRY(io::MakeDirectories(BranchesDirectory(home), kPassable));
  PGS_TRY(io::MakeDirectories(LayersDirectory(home), kPrivate));
  // Until it is locked nobody may take it for a leftover.
  PGS_ASSIGN(const auto making, io::FileLock::AcquireOnDirectory(BranchesDirectory(home)));
  NewBranch made{.id = RandomDigits(kIdDigits), .lock = {}};
  const BranchDirectory directory(home, made.id);
  if (io::Exists(directory.path())) return Fail(ErrorCode::kInternal, Quoted(directory.path()) + " is there already");
  PGS_TRY(io::MakeDirectories(directory.path(), kPassable));
  PGS_TRY(io::File::Open(directory.lock(), O_RDWR | O_CREAT | O_EXCL));
  PGS_ASSIGN(made.lock, BranchLock::TryAcquire(directory, made.id, words));
  PGS_TRY(io::MakeDirectories(directory.wals(), kPassable));
  PGS_TRY(io::MakeDirectories(directory.conf(), kPassable));
  PGS_TRY(MakeOwnedDirectory(directory.mountpoint(), owner));
  PGS_TRY(MakeOwnedDirectory(directory.run(), owner));
  return made;
}

}  // namespace pgstrata::branch
