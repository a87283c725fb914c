// A pgBackRest repository on this machine: what backups a stanza has, and each of them opened in place. Nothing is ever
// written to it. Passphrases are in no message.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backup/image/decoded_cache.h"
#include "backup/image/wal_archive.h"
#include "catalog/pgbackrest/backup_image.h"
#include "catalog/pgbackrest/info_files.h"
#include "foundation/base/error.h"

namespace pgstrata::pgbackrest {

class Repository {
 public:
  // `root` is the repository's directory (repo1-path), absolute, links resolved. `passphrase` opens an encrypted one.
  // kNotFound where it has no such stanza; kPermission where it is encrypted and there is no passphrase; kCorrupt where
  // neither backup.info nor its copy can be used, or the passphrase is another.
  static Result<std::unique_ptr<Repository>> Open(const std::string& root, const std::string& stanza,
                                                  const std::string& passphrase);

  // Whether a passphrase is needed.
  static Result<bool> IsEncrypted(const std::string& root, const std::string& stanza);

  // Sorted by label. Those that are being made are not among them.
  [[nodiscard]] const std::vector<BackupRecord>& backups() const { return info_.backups; }
  // The one that ended last; null where there is none.
  [[nodiscard]] const BackupRecord* Latest() const;

  // Reads backup.manifest. kNotFound, with what is there, where there is no such backup.
  Result<std::unique_ptr<BackupImage>> OpenBackup(const std::string& label,
                                                  std::shared_ptr<image::DecodedCache> cache) const;

  // What is wrong with backup.info, archive.info, the backup's manifest and the copies of the three: each alone may be
  // replaced by the other when it is read. A copy that is not there is nothing wrong.
  [[nodiscard]] std::vector<Error> CheckLists(const std::string& label) const;

  // The WAL of the cluster that the backup is of; null where the stanza's archive has none of it. kCorrupt where
  // neither archive.info nor its copy can be used.
  Result<std::unique_ptr<image::WalArchive>> OpenArchive(const Manifest& manifest) const;

  [[nodiscard]] const std::string& root() const { return root_; }
  [[nodiscard]] const std::string& stanza() const { return stanza_; }

 private:
  Repository(std::string root, std::string stanza, std::string passphrase, BackupInfo info);
  [[nodiscard]] std::unexpected<Error> NoSuchBackup(const std::string& label) const;

  const std::string root_;
  const std::string stanza_;
  const std::string passphrase_;
  const BackupInfo info_;
};

}  // namespace pgstrata::pgbackrest
