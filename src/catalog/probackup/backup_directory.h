// One backup of a catalog: its directory, its control file, and whether they are still what they were.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "backup/image/native_file.h"
#include "catalog/probackup/backup_control.h"
#include "catalog/probackup/content_list.h"
#include "foundation/base/error.h"

namespace pgstrata::probackup {

constexpr std::string_view kControlFileName = "backup.control";
constexpr std::string_view kContentListName = "backup_content.control";
constexpr std::string_view kHeaderMapName = "page_header_map";
constexpr std::string_view kDatabaseDirectory = "database";
constexpr std::string_view kExternalPrefix = "external_directories/externaldir";

// Safe from several threads.
class BackupDirectory {
 public:
  // kNotFound where there is no backup.control, kCorrupt where it is damaged, naming the backup.
  static Result<std::unique_ptr<BackupDirectory>> Open(const std::string& path);

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] const BackupControl& control() const { return control_; }
  // In the directory of external directory `external`, or of PGDATA where that is 0.
  [[nodiscard]] std::string PathOf(uint32_t external, std::string_view path) const;

  // The text of backup_content.control. kCorrupt where its CRC is not what the control file says.
  Result<std::string> ReadContentList() const;

  // Success where nothing says that the files of this backup may be others than when it was opened: costs one look at
  // backup.control. A note, a pin, or a status that tells of damage found, change nothing. kCorrupt once the backup is
  // merged, deleted or made anew, and from then on.
  Status StillTheSame() const;

  // Opens one file of it by its native path. kCorrupt where it is missing, has other than `size` bytes, or is not what
  // it was when it was first opened. `key` tells the files of a backup apart.
  Result<std::unique_ptr<image::NativeFile>> OpenFile(uint64_t key, const std::string& native, uint64_t size) const;
  // The same without knowing its size.
  Result<std::unique_ptr<image::NativeFile>> OpenFile(uint64_t key, const std::string& native) const;

  // The file of this key is what it is now, as if it had been opened, unless it was.
  void Watch(uint64_t key, const image::Fingerprint& file) const;
  // A word for which bytes the backup holds, as far as backup.control says.
  [[nodiscard]] std::string ContentFact() const;

  // "backup TOTJZ9 (\"/backups/main/TOTJZ9\")", for messages.
  [[nodiscard]] std::string Name() const;

 private:
  BackupDirectory(std::string path, BackupControl control, uint64_t seen);

  const std::string path_;
  const BackupControl control_;
  mutable std::atomic<uint64_t> seen_control_;  // the digest of the control file that was last found in order

  mutable std::mutex mutex_;
  // Guarded by mutex_: digests of files as they were first opened, by key.
  mutable std::unordered_map<uint64_t, uint64_t> seen_;
};

}  // namespace pgstrata::probackup
