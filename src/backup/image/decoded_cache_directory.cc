#include "backup/image/decoded_cache_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <optional>
#include <tuple>
#include <vector>

#include "foundation/base/text.h"
#include "foundation/codec/sha256.h"
#include "foundation/io/directory.h"

namespace pgstrata::image {
namespace {

constexpr std::string_view kPart = ".part";
constexpr size_t kNameLength = 64;

bool IsWhole(std::string_view name) { return name.size() == kNameLength && !name.contains('.'); }

// True where `file` is locked now and still has its name: a sweeper may have been faster.
Result<bool> LockNew(const io::File& file) {
  if (::flock(file.fd(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return false;
    return FailErrno("could not lock " + Quoted(file.path()));
  }
  PGS_ASSIGN(const struct stat status, file.Stat());
  return status.st_nlink > 0;
}

uint64_t Allocated(const struct stat& status) {
  constexpr uint64_t kStatBlock = 512;
  return static_cast<uint64_t>(status.st_blocks) * kStatBlock;
}

// Whether nobody has it open for decoding.
bool IsDead(const std::string& path) {
  const auto file = io::File::Open(path, O_RDONLY);
  return file && ::flock(file->fd(), LOCK_EX | LOCK_NB) == 0;
}

}  // namespace

std::string CacheFileName(std::string_view key) { return codec::ToHex(codec::Sha256::Of(AsBytes(key))); }

Result<io::File> MakePartFile(const std::string& directory, const std::string& file_name) {
  static std::atomic<uint64_t> counter = 0;
  while (true) {
    const std::string path = JoinPath(directory, file_name) + '.' + std::to_string(::getpid()) + '.' +
                             std::to_string(++counter) + std::string(kPart);
    auto file = io::File::Open(path, O_RDWR | O_CREAT | O_EXCL);
    if (!file && file.error().system_errno() == EEXIST) continue;
    if (!file) return file;
    PGS_ASSIGN(const bool ours, LockNew(*file));
    if (ours) return file;
  }
}

Status RemoveDeadParts(const std::string& directory) {
  PGS_ASSIGN(const auto names, io::ListDirectory(directory));
  for (const auto& name : names) {
    if (!name.ends_with(kPart)) continue;
    const std::string path = JoinPath(directory, name);
    if (IsDead(path)) PGS_TRY(io::RemoveFile(path));
  }
  return {};
}

Status MakeRoomInCache(const std::string& directory, uint64_t limit, uint64_t wanted, const std::string& spared) {
  PGS_ASSIGN(auto files, io::ListDirectoryWithStatus(directory));
  uint64_t held = 0;
  for (const auto& file : files) held += Allocated(file.status);
  const auto is_over = [&] { return held > limit || limit - held < wanted; };
  if (!is_over()) return {};
  std::erase_if(files, [&](const io::NamedStatus& file) { return !IsWhole(file.name) || file.name == spared; });
  std::ranges::sort(files, {}, [](const io::NamedStatus& file) {
    return std::tuple(file.status.st_mtim.tv_sec, file.status.st_mtim.tv_nsec);
  });
  for (const auto& file : files) {
    if (!is_over()) break;
    PGS_TRY(io::RemoveFile(JoinPath(directory, file.name)));
    held -= std::min(held, Allocated(file.status));
  }
  return {};
}

void MarkUsed(const io::File& file) { static_cast<void>(::futimens(file.fd(), nullptr)); }

}  // namespace pgstrata::image
