#include "catalog/probackup/backup_directory.h"

#include <fmt/format.h>

#include <utility>

#include "foundation/base/text.h"
#include "foundation/codec/sha256.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "postgres/pgdata/crc32c.h"

namespace pgstrata::probackup {
namespace {

constexpr uint64_t kControlLimit = 1 << 20;
constexpr uint64_t kContentLimit = 4ULL << 30;

std::unexpected<Error> Changed(const BackupDirectory& backup, std::string_view how) {
  return Fail(Error(ErrorCode::kCorrupt, fmt::format("{} {} while it was open", backup.Name(), how))
                  .WithHint("a catalog's backups must stay as they are while they are open; open the backup again"));
}

// Everything that says which bytes the backup holds.
std::string ContentOf(const BackupControl& control) {
  return fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n", control.id, BackupModeName(control.mode), control.parent,
                     control.merge_time, control.content_crc, control.start.ToString(), control.stop.ToString(),
                     control.version.ToString());
}

struct ReadControl {
  BackupControl control;
  uint64_t digest = 0;
};

Result<ReadControl> Read(const std::string& directory) {
  const std::string path = JoinPath(directory, kControlFileName);
  PGS_ASSIGN(const auto file, image::OpenNativeFile(path));
  if (file->size() > kControlLimit)
    return Fail(ErrorCode::kCorrupt, Quoted(path) + " is no control file: it is too large");
  std::string text(file->size(), '\0');
  PGS_TRY(file->ReadAt(0, std::as_writable_bytes(std::span(text))));
  auto control = ParseBackupControl(text);
  if (!control) return Fail(std::move(control).error().Wrap(Quoted(directory)));
  return ReadControl{.control = *std::move(control), .digest = file->fingerprint().Digest()};
}

}  // namespace

BackupDirectory::BackupDirectory(std::string path, BackupControl control, uint64_t seen)
    : path_(std::move(path)), control_(std::move(control)), seen_control_(seen) {}

Result<std::unique_ptr<BackupDirectory>> BackupDirectory::Open(const std::string& path) {
  PGS_ASSIGN(auto read, Read(path));
  return std::unique_ptr<BackupDirectory>(new BackupDirectory(path, std::move(read.control), read.digest));
}

std::string BackupDirectory::PathOf(uint32_t external, std::string_view path) const {
  const std::string root =
      external == 0 ? std::string(kDatabaseDirectory) : std::string(kExternalPrefix) + std::to_string(external);
  return JoinPath(JoinPath(path_, root), path);
}

std::string BackupDirectory::Name() const { return fmt::format("backup {} ({})", control_.id, Quoted(path_)); }

Result<std::string> BackupDirectory::ReadContentList() const {
  PGS_ASSIGN(std::string text, io::ReadWholeFile(JoinPath(path_, kContentListName), kContentLimit));
  if (control_.content_crc != 0 && pgdata::Crc32c(AsBytes(text)) != control_.content_crc) {
    PGS_TRY(StillTheSame());
    return Fail(
        Error(ErrorCode::kCorrupt, fmt::format("the file list of {} is damaged: its checksum is {} and should be {}",
                                               Name(), pgdata::Crc32c(AsBytes(text)), control_.content_crc))
            .WithHint("open another backup, or bring backup_content.control back from a copy of the catalog"));
  }
  return text;
}

Status BackupDirectory::StillTheSame() const {
  const auto status = io::StatLink(JoinPath(path_, kControlFileName));
  if (!status) {
    if (status.error().code() == ErrorCode::kNotFound) return Changed(*this, "was removed");
    return Fail(status.error());
  }
  if (image::Fingerprint::Of(*status).Digest() == seen_control_.load(std::memory_order_relaxed)) return {};
  const auto now = Read(path_);
  if (!now) return Fail(now.error());
  if (!HoldsStill(now->control.status)) return Changed(*this, "got the status " + now->control.status);
  if (ContentOf(now->control) != ContentOf(control_)) return Changed(*this, "was replaced");
  seen_control_.store(now->digest, std::memory_order_relaxed);
  return {};
}

void BackupDirectory::Watch(uint64_t key, const image::Fingerprint& file) const {
  const std::lock_guard lock(mutex_);
  seen_.try_emplace(key, file.Digest());
}

std::string BackupDirectory::ContentFact() const {
  return codec::ToHex(codec::Sha256::Of(AsBytes(ContentOf(control_))));
}

Result<std::unique_ptr<image::NativeFile>> BackupDirectory::OpenFile(uint64_t key, const std::string& native) const {
  PGS_TRY(StillTheSame());
  auto file = image::OpenNativeFile(native);
  if (!file) {
    if (file.error().code() != ErrorCode::kNotFound) return Fail(std::move(file).error());
    return Fail(ErrorCode::kCorrupt, Quoted(native) + " is missing from the backup");
  }
  const uint64_t digest = (*file)->fingerprint().Digest();
  const std::lock_guard lock(mutex_);
  if (seen_.try_emplace(key, digest).first->second != digest) {
    return Fail(ErrorCode::kCorrupt, Quoted(native) + " changed while the backup was open");
  }
  return file;
}

Result<std::unique_ptr<image::NativeFile>> BackupDirectory::OpenFile(uint64_t key, const std::string& native,
                                                                     uint64_t size) const {
  PGS_ASSIGN(auto file, OpenFile(key, native));
  if (file->size() == size) return file;
  return Fail(ErrorCode::kCorrupt,
              fmt::format("{} has {} bytes, and {} when it was backed up", Quoted(native), file->size(), size));
}

}  // namespace pgstrata::probackup
