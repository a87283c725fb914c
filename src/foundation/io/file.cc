#include "foundation/io/file.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "foundation/base/text.h"
#include "foundation/io/directory.h"

namespace pgstrata::io {
namespace {

// What `call` answers once no signal interrupts it.
template <typename Call>
auto Retrying(Call call) {
  auto answer = call();
  while (answer < 0 && errno == EINTR) answer = call();
  return answer;
}

std::unexpected<Error> EndsTooSoon(const File& file, uint64_t wanted) {
  return Fail(ErrorCode::kCorrupt, Quoted(file.path()) + " ends before byte " + std::to_string(wanted));
}

Status CopyThroughMemory(const File& from, File& to, uint64_t offset, uint64_t end) {
  constexpr uint64_t kStep = 1 << 20;
  std::vector<std::byte> buffer(std::min(kStep, end - offset));
  while (offset < end) {
    const MutableBytes piece = MutableBytes(buffer).first(std::min<uint64_t>(buffer.size(), end - offset));
    PGS_ASSIGN(const size_t count, from.ReadAt(offset, piece));
    if (count < piece.size()) return EndsTooSoon(from, end);
    PGS_TRY(to.WriteAt(offset, piece));
    offset += count;
  }
  return {};
}

}  // namespace

Result<File> File::Open(const std::string& path, int flags, mode_t mode) {
  const int fd = Retrying([&] { return ::open(path.c_str(), flags | O_CLOEXEC, mode); });
  if (fd < 0) return FailErrno("could not open " + Quoted(path));
  File file;
  file.fd_ = UniqueFd(fd);
  file.path_ = path;
  return file;
}

Result<size_t> File::ReadAt(uint64_t offset, MutableBytes out) const {
  size_t done = 0;
  while (done < out.size()) {
    const ssize_t count = Retrying(
        [&] { return ::pread(fd(), out.data() + done, out.size() - done, static_cast<off_t>(offset + done)); });
    if (count < 0) return FailErrno("could not read " + Quoted(path_));
    if (count == 0) break;
    done += static_cast<size_t>(count);
  }
  return done;
}

Status File::WriteAt(uint64_t offset, ByteView bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = Retrying(
        [&] { return ::pwrite(fd(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done)); });
    if (count < 0) return FailErrno("could not write " + Quoted(path_));
    done += static_cast<size_t>(count);
  }
  return {};
}

Status File::Truncate(uint64_t size) {
  const int answer = Retrying([&] { return ::ftruncate(fd(), static_cast<off_t>(size)); });
  if (answer != 0) return FailErrno("could not truncate " + Quoted(path_));
  return {};
}

Status File::PunchHole(uint64_t offset, uint64_t length) {
  const int answer = Retrying([&] {
    return ::fallocate(fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                       static_cast<off_t>(length));
  });
  if (answer != 0) return FailErrno("could not punch a hole into " + Quoted(path_));
  return {};
}

Status File::Allocate(uint64_t offset, uint64_t length) {
  const int answer = Retrying(
      [&] { return ::fallocate(fd(), FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset), static_cast<off_t>(length)); });
  if (answer == 0) return {};
  if (errno == EOPNOTSUPP) return Fail(ErrorCode::kUnsupported, "no space can be reserved for " + Quoted(path_));
  return FailErrno("could not reserve space for " + Quoted(path_));
}

Status File::CopyFrom(const File& from, uint64_t offset, uint64_t length) {
  const uint64_t end = offset + length;
  while (offset < end) {
    auto in = static_cast<off64_t>(offset);
    auto out = in;
    const ssize_t count = Retrying([&] { return ::copy_file_range(from.fd(), &in, fd(), &out, end - offset, 0); });
    if (count < 0) {
      if (errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP) {
        return CopyThroughMemory(from, *this, offset, end);
      }
      return FailErrno("could not copy from " + Quoted(from.path()) + " to " + Quoted(path_));
    }
    if (count == 0) return EndsTooSoon(from, end);
    offset += static_cast<uint64_t>(count);
  }
  return {};
}

// After a failure the kernel takes what it could not write for written. It is made to forget it, so that what is read
// from then on is what is on disk.
Status File::DataSync() {
  if (Retrying([&] { return ::fdatasync(fd()); }) == 0) return {};
  const auto failure = FailErrno("could not sync " + Quoted(path_));
  ::posix_fadvise(fd(), 0, 0, POSIX_FADV_DONTNEED);
  return failure;
}

Result<struct stat> File::Stat() const {
  struct stat status{};
  if (::fstat(fd(), &status) != 0) return FailErrno("could not stat " + Quoted(path_));
  return status;
}

Result<std::string> ReadWholeFile(const std::string& path, uint64_t limit) {
  PGS_ASSIGN(const File file, File::Open(path, O_RDONLY));
  std::string content;
  constexpr size_t kStep = 64 << 10;
  while (true) {
    const size_t had = content.size();
    content.resize(had + kStep);
    PGS_ASSIGN(const size_t count, file.ReadAt(had, std::as_writable_bytes(std::span(content).subspan(had))));
    content.resize(had + count);
    if (content.size() > limit) {
      return Fail(ErrorCode::kUnsupported, Quoted(path) + " is larger than " + std::to_string(limit) + " bytes");
    }
    if (count < kStep) return content;
  }
}

Status WriteWholeFile(const std::string& path, std::string_view content, mode_t mode) {
  PGS_ASSIGN(File file, File::Open(path, O_WRONLY | O_CREAT | O_TRUNC, mode));
  return file.WriteAt(0, AsBytes(content));
}

Status ReplaceFile(const std::string& path, std::string_view content) {
  const std::string fresh = path + ".new";
  {
    PGS_ASSIGN(File file, File::Open(fresh, O_WRONLY | O_CREAT | O_TRUNC));
    PGS_TRY(file.WriteAt(0, AsBytes(content)));
    PGS_TRY(file.DataSync());
  }
  PGS_TRY(Rename(fresh, path));
  const std::string directory = path.substr(0, path.rfind('/') + 1);
  return SyncDirectory(directory.empty() ? "." : directory);
}

}  // namespace pgstrata::io
