#include "backup/image/native_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <bit>
#include <cerrno>

#include "foundation/io/file.h"
#include "foundation/io/uncached_reader.h"

namespace pgstrata::image {
namespace {

int64_t Nanoseconds(const timespec& time) { return static_cast<int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec; }

std::unexpected<Error> Changed(const std::string& path, const std::string& how) {
  return Fail(
      Error(ErrorCode::kCorrupt, '"' + path + "\" " + how + " while it was open")
          .WithHint("a backup must stay as it is while it is open; find out what writes to it, then open it again"));
}

class OpenedFile final : public NativeFile {
 public:
  OpenedFile(io::File file, const Fingerprint& fingerprint) : file_(std::move(file)), fingerprint_(fingerprint) {}

  [[nodiscard]] uint64_t size() const override { return fingerprint_.size; }
  [[nodiscard]] const Fingerprint& fingerprint() const override { return fingerprint_; }

  Status ReadAt(uint64_t offset, MutableBytes out) const override {
    const auto count = reader_.ReadAt(offset, out);
    // Compared after the read: what was read is then what the fingerprint stands for.
    PGS_TRY(CheckUnchanged());
    PGS_TRY(count);
    if (*count != out.size()) {
      return Fail(ErrorCode::kIo,
                  "could not read \"" + file_.path() + "\": it ended early at byte " + std::to_string(offset + *count));
    }
    return {};
  }

  [[nodiscard]] uint64_t NextData(uint64_t offset) const override {
    if (offset >= size()) return size();
    const off_t found = ::lseek(file_.fd(), static_cast<off_t>(offset), SEEK_DATA);
    if (found >= 0) return std::min(static_cast<uint64_t>(found), size());
    return errno == ENXIO ? size() : offset;
  }

 private:
  Status CheckUnchanged() const {
    PGS_ASSIGN(const struct stat status, file_.Stat());
    if (status.st_nlink == 0) return Changed(file_.path(), "was removed");
    const Fingerprint now = Fingerprint::Of(status);
    if (now == fingerprint_) return {};
    if (now.size != fingerprint_.size) {
      return Changed(file_.path(), "changed from " + std::to_string(fingerprint_.size) + " to " +
                                       std::to_string(now.size) + " bytes");
    }
    return Changed(file_.path(), "changed");
  }

  const io::File file_;
  const io::UncachedReader reader_{file_};
  const Fingerprint fingerprint_;
};

}  // namespace

Fingerprint Fingerprint::Of(const struct stat& status) {
  return {.device = status.st_dev,
          .inode = status.st_ino,
          .size = static_cast<uint64_t>(status.st_size),
          .modified_ns = Nanoseconds(status.st_mtim),
          .changed_ns = Nanoseconds(status.st_ctim)};
}

uint64_t Fingerprint::Digest() const {
  constexpr uint64_t kMultiplier = 0x9E3779B97F4A7C15;
  uint64_t digest = kMultiplier;
  for (const uint64_t part :
       {device, inode, size, std::bit_cast<uint64_t>(modified_ns), std::bit_cast<uint64_t>(changed_ns)}) {
    digest = std::rotl((digest ^ part) * kMultiplier, 31) * kMultiplier;
    digest ^= digest >> 29;
  }
  return digest;
}

Result<std::unique_ptr<NativeFile>> OpenNativeFile(const std::string& path) {
  // O_NOATIME: the source is never written, not even its times; only its owner and root may ask for that.
  // O_NONBLOCK: a pipe that took the file's place must not stop us.
  constexpr int kFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
  auto file = io::File::Open(path, kFlags | O_NOATIME);
  if (!file && file.error().system_errno() == EPERM) file = io::File::Open(path, kFlags);
  if (!file) {
    if (file.error().system_errno() == ELOOP) return Changed(path, "became a link");
    return Fail(std::move(file).error());
  }
  PGS_ASSIGN(const struct stat status, file->Stat());
  if (!S_ISREG(status.st_mode)) return Changed(path, "became something else than a file");
  return std::make_unique<OpenedFile>(*std::move(file), Fingerprint::Of(status));
}

}  // namespace pgstrata::image
