#include "catalog/probackup/backup.h"

#include <fmt/format.h>

#include <utility>

#include "backup/image/wal_directory.h"
#include "catalog/probackup/catalog.h"
#include "catalog/probackup/chain_image.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "postgres/pgdata/tablespace_map.h"

namespace pgstrata::probackup {

Result<std::unique_ptr<Backup>> Backup::Open(const OpenRequest& request) {
  PGS_ASSIGN(std::shared_ptr<ReaderLock> lock, LockChain(request.directory, request.force));
  PGS_ASSIGN(auto chain, Chain::Open(request.directory, request.force));
  auto reader = std::make_shared<ChainReader>(std::move(chain));
  return std::unique_ptr<Backup>(new Backup(std::move(reader), std::move(lock), request.name));
}

std::vector<std::string> Backup::ChainIds() const {
  std::vector<std::string> ids;
  for (const auto& backup : reader_->chain().backups()) ids.push_back(backup->control().id);
  return ids;
}

std::unique_ptr<image::Image> Backup::MakeTree(uint32_t external, const std::string& name) const {
  return std::make_unique<ChainImage>(reader_, external, lock_, name);
}

std::vector<ExternalDirectory> Backup::ExternalDirectories() const {
  std::vector<ExternalDirectory> directories;
  for (const auto& location : control().external_directories) {
    directories.push_back({.number = static_cast<uint32_t>(directories.size() + 1), .location = location});
  }
  return directories;
}

Result<std::unique_ptr<image::Image>> Backup::MakeExternalImage(uint32_t number) const {
  const size_t count = control().external_directories.size();
  if (number >= 1 && number <= count) return MakeTree(number, fmt::format("{}/externaldir{}", name_, number));
  return Fail(ErrorCode::kNotFound,
              fmt::format("{} has {} external directories, and no number {}", Quoted(name_), count, number));
}

Result<std::vector<Tablespace>> Backup::Tablespaces() const {
  const BackupDirectory& newest = reader_->chain().backup(0);
  std::vector<Tablespace> tablespaces;
  const auto text = io::ReadWholeFile(newest.PathOf(0, pgdata::kTablespaceMapPath));
  if (!text) {
    if (text.error().code() == ErrorCode::kNotFound) return tablespaces;
    return Fail(text.error());
  }
  PGS_ASSIGN(const auto mappings, pgdata::ParseTablespaceMap(*text));
  for (const auto& mapping : mappings) {
    tablespaces.push_back({.oid = std::to_string(mapping.oid.value), .location = mapping.path});
  }
  return tablespaces;
}

Result<std::unique_ptr<image::WalArchive>> Backup::OpenWalArchive() const {
  const std::string path = WalDirectoryOf(reader_->chain().backup(0).path());
  if (!io::Exists(path)) return nullptr;
  return image::OpenWalDirectory(path);
}

}  // namespace pgstrata::probackup
