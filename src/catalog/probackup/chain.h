// A backup and those that it stands on, opened: their control files and file lists, read once. Costs as much as the
// lists are long; no data is read.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "catalog/probackup/backup_directory.h"
#include "catalog/probackup/file_tree.h"
#include "catalog/probackup/reader_lock.h"
#include "foundation/base/error.h"

namespace pgstrata::probackup {

// Constant once it is open; safe from several threads.
class Chain {
 public:
  // `directory` is that of the newest backup, absolute, links resolved. Its parents are looked for beside it.
  // kNotFound: a parent is missing. kCorrupt, kUnsupported: a backup of the chain cannot be used (CheckUsable), is
  // damaged, or the chain has no end. Other backups of the catalog are not looked at.
  static Result<std::shared_ptr<const Chain>> Open(const std::string& directory, bool force);

  // The newest first; never empty.
  [[nodiscard]] const std::vector<std::unique_ptr<BackupDirectory>>& backups() const { return backups_; }
  [[nodiscard]] const BackupDirectory& backup(uint32_t layer) const { return *backups_[layer]; }
  [[nodiscard]] const BackupControl& control() const { return backups_.front()->control(); }
  // PGDATA is 0, an external directory has its number; a number without a tree is an empty directory.
  [[nodiscard]] const FileTree& tree(uint32_t external) const;

 private:
  Chain() = default;
  Status ReadLists();

  std::vector<std::unique_ptr<BackupDirectory>> backups_;
  std::map<uint32_t, FileTree> trees_;
  FileTree empty_;
};

// Registers with the backups of a chain: what is read of them from then on stays. The errors of Chain::Open, and of
// ReaderLock::Take.
Result<std::unique_ptr<ReaderLock>> LockChain(const std::string& directory, bool force);

// The directories of the backups of a chain, the newest first, without reading their lists. The errors of Chain::Open.
Result<std::vector<std::unique_ptr<BackupDirectory>>> FindChain(const std::string& directory, bool force);

}  // namespace pgstrata::probackup
