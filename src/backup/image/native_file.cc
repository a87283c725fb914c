#include "backup/image/native_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "foundation/io/file.h"
#include "foundation/io/uncached_reader.h"

namespace pgstrata::image {
namespace {

std::unexpected<Error> Changed(const std::string& path, const std::string& how) {
  return Fail(
      Error(ErrorCode::kCorrupt, '"' + path + "\" " + how + " while it was open")
          .WithHint("a backup must stay as it is while it is open; find out what writes to it, then open it again"));
}

class OpenedFile final : public NativeFile {
 public:
  OpenedFile(io::File file, const struct stat& status, NewLinks links)
      : file_(std::move(file)), links_(links), fingerprint_(FingerprintOf(status)) {}

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
  [[nodiscard]] Fingerprint FingerprintOf(const struct stat& status) const {
    return links_ == NewLinks::kAreNone ? Fingerprint::WithoutLinks(status) : Fingerprint::Of(status);
  }

  Status CheckUnchanged() const {
    PGS_ASSIGN(const struct stat status, file_.Stat());
    if (status.st_nlink == 0) return Changed(file_.path(), "was removed");
    const Fingerprint now = FingerprintOf(status);
    if (now == fingerprint_) return {};
    if (now.size != fingerprint_.size) {
      return Changed(file_.path(), "changed from " + std::to_string(fingerprint_.size) + " to " +
                                       std::to_string(now.size) + " bytes");
    }
    return Changed(file_.path(), "changed");
  }

  const io::File file_;
  const io::UncachedReader reader_{file_};
  const NewLinks links_;
  const Fingerprint fingerprint_;
};

}  // namespace

Result<std::unique_ptr<NativeFile>> OpenNativeFile(const std::string& path, NewLinks links) {
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
  return std::make_unique<OpenedFile>(*std::move(file), status, links);
}

}  // namespace pgstrata::image
