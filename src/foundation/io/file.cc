#include "foundation/io/file.h"

#include <cerrno>

namespace pgstrata::io {
namespace {

std::string Quoted(const std::string& path) { return '"' + path + '"'; }

}  // namespace

Result<File> File::Open(const std::string& path, int flags, mode_t mode) {
  int fd = -1;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) return FailErrno("could not open " + Quoted(path));
  File file;
  file.fd_ = UniqueFd(fd);
  file.path_ = path;
  return file;
}

Result<size_t> File::ReadAt(uint64_t offset, MutableBytes out) const {
  size_t done = 0;
  while (done < out.size()) {
    const ssize_t count = ::pread(fd(), out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (count < 0) {
      if (errno == EINTR) continue;
      return FailErrno("could not read " + Quoted(path_));
    }
    if (count == 0) break;
    done += static_cast<size_t>(count);
  }
  return done;
}

Status File::ReadExactlyAt(uint64_t offset, MutableBytes out) const {
  PGS_ASSIGN(const size_t count, ReadAt(offset, out));
  if (count != out.size()) {
    return Fail(ErrorCode::kCorrupt, Quoted(path_) + " is shorter than expected: it ends at byte " +
                                         std::to_string(offset + count) + ", not at " +
                                         std::to_string(offset + out.size()));
  }
  return {};
}

Status File::WriteAt(uint64_t offset, ByteView bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = ::pwrite(fd(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (count < 0) {
      if (errno == EINTR) continue;
      return FailErrno("could not write " + Quoted(path_));
    }
    done += static_cast<size_t>(count);
  }
  return {};
}

Status File::Truncate(uint64_t size) {
  if (::ftruncate(fd(), static_cast<off_t>(size)) != 0) return FailErrno("could not truncate " + Quoted(path_));
  return {};
}

Status File::PunchHole(uint64_t offset, uint64_t length) {
  if (::fallocate(fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                  static_cast<off_t>(length)) != 0) {
    return FailErrno("could not punch a hole into " + Quoted(path_));
  }
  return {};
}

Status File::SyncData() {
  if (::fdatasync(fd()) != 0) return FailErrno("could not sync " + Quoted(path_));
  return {};
}

Status File::Sync() {
  if (::fsync(fd()) != 0) return FailErrno("could not sync " + Quoted(path_));
  return {};
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

Status ReplaceFileDurably(const std::string& path, std::string_view content, mode_t mode) {
  const std::string temporary = path + ".new";
  {
    PGS_ASSIGN(File file, File::Open(temporary, O_WRONLY | O_CREAT | O_TRUNC, mode));
    PGS_TRY(file.WriteAt(0, AsBytes(content)));
    PGS_TRY(file.Sync());
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) return FailErrno("could not rename " + Quoted(temporary));
  const size_t slash = path.find_last_of('/');
  return SyncDirectory(slash == std::string::npos ? "." : path.substr(0, slash + 1));
}

Status SyncDirectory(const std::string& path) {
  PGS_ASSIGN(File directory, File::Open(path, O_RDONLY | O_DIRECTORY));
  return directory.Sync();
}

}  // namespace pgstrata::io
