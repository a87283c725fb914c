// A backup of a pg_probackup catalog, opened in place: what a source of this kind is made of.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "backup/image/image.h"
#include "backup/image/wal_archive.h"
#include "catalog/probackup/backup_control.h"
#include "catalog/probackup/chain_reader.h"
#include "catalog/probackup/reader_lock.h"
#include "foundation/base/error.h"

namespace pgstrata::probackup {

struct OpenRequest {
  std::string directory;  // of the backup, absolute, links resolved: what FindBackup gives
  std::string name;       // what the user knows it by, for messages
  bool force = false;     // also what is newer than known here, and what pg_probackup found damaged
};

struct ExternalDirectory {
  uint32_t number = 0;   // from 1 on
  std::string location;  // where it was on the server
};

// A tablespace that the backup holds as pg_tblspc/OID.
struct Tablespace {
  std::string oid;
  std::string location;  // where it was on the server
};

// Safe from several threads. The images that it gives may outlive it.
class Backup {
 public:
  // Reads the control files and file lists of the chain and takes the reader's lock on each of its backups. The errors
  // of Chain::Open and ReaderLock::Take.
  static Result<std::unique_ptr<Backup>> Open(const OpenRequest& request);

  [[nodiscard]] const BackupControl& control() const { return reader_->chain().control(); }
  // The newest first.
  [[nodiscard]] std::vector<std::string> ChainIds() const;

  [[nodiscard]] std::unique_ptr<image::Image> MakeImage() const { return MakeTree(0, name_); }
  [[nodiscard]] std::vector<ExternalDirectory> ExternalDirectories() const;
  // kNotFound where the backup has no such number.
  [[nodiscard]] Result<std::unique_ptr<image::Image>> MakeExternalImage(uint32_t number) const;
  // From the backup's tablespace_map, which no image shows.
  [[nodiscard]] Result<std::vector<Tablespace>> Tablespaces() const;

  // The catalog's archive of the backup's instance (wal/INSTANCE); null where there is none. A STREAM backup needs
  // nothing of it to become consistent.
  [[nodiscard]] Result<std::unique_ptr<image::WalArchive>> OpenWalArchive() const;

 private:
  Backup(std::shared_ptr<ChainReader> reader, std::shared_ptr<ReaderLock> lock, std::string name)
      : reader_(std::move(reader)), lock_(std::move(lock)), name_(std::move(name)) {}
  [[nodiscard]] std::unique_ptr<image::Image> MakeTree(uint32_t external, const std::string& name) const;

  const std::shared_ptr<ChainReader> reader_;
  const std::shared_ptr<ReaderLock> lock_;
  const std::string name_;
};

}  // namespace pgstrata::probackup
