#include "backup/source/probackup_source.h"

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "backup/source/choose.h"
#include "catalog/probackup/backup.h"
#include "catalog/probackup/backup_directory.h"
#include "catalog/probackup/catalog.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"

namespace pgstrata::source {
namespace {

// A catalog, or one instance of it.
struct CatalogPart {
  std::string catalog;
  std::string instance;  // empty: all
};

// CATALOG, CATALOG/backups, CATALOG/INSTANCE or CATALOG/backups/INSTANCE.
std::optional<CatalogPart> CatalogPartAt(std::string path) {
  constexpr std::string_view kBackups = "backups";
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  if (probackup::IsCatalog(path)) return CatalogPart{.catalog = path, .instance = {}};
  const auto [above, name] = SplitLast(path);
  if (above.empty()) return std::nullopt;
  if (probackup::IsCatalog(std::string(above))) {
    return CatalogPart{.catalog = std::string(above), .instance = std::string(name == kBackups ? "" : name)};
  }
  const auto [catalog, between] = SplitLast(above);
  if (catalog.empty() || between != kBackups || !probackup::IsCatalog(std::string(catalog))) return std::nullopt;
  return CatalogPart{.catalog = std::string(catalog), .instance = std::string(name)};
}

struct Candidates {
  std::vector<std::string> directories;
  std::vector<std::string> lines;  // the same for a person
};

std::string Described(const probackup::ListedBackup& backup) {
  if (!backup.control) return backup.directory + " (" + (backup.problem ? backup.problem->message() : "") + ')';
  const auto& control = *backup.control;
  std::string line = backup.directory + " (" + std::string(probackup::BackupModeName(control.mode)) + ", " +
                     control.start_time + ", " + control.status;
  if (backup.problem) line += ": " + backup.problem->message();
  return line + ')';
}

Result<Candidates> CandidatesIn(const CatalogPart& part) {
  PGS_ASSIGN(const auto instances, probackup::ListCatalog(part.catalog));
  Candidates candidates;
  for (const auto& instance : instances) {
    if (!part.instance.empty() && instance.name != part.instance) continue;
    for (const auto& backup : instance.backups) {
      if (!io::Exists(JoinPath(backup.directory, probackup::kControlFileName))) continue;
      candidates.directories.push_back(backup.directory);
      candidates.lines.push_back(Described(backup));
    }
  }
  return candidates;
}

Result<probackup::BackupPlace> Find(const std::string& rest, const SourceRequest& request) {
  auto place = probackup::FindBackup(rest);
  if (place) return place;
  const auto part = CatalogPartAt(rest);
  if (!part) return place;
  PGS_ASSIGN(auto candidates, CandidatesIn(*part));
  if (candidates.directories.empty()) return place;
  PGS_ASSIGN(const size_t chosen, ChooseBackup(rest, candidates.lines, request));
  return probackup::BackupPlace{.directory = std::move(candidates.directories.at(chosen))};
}

// The directories of the backups that this one stands on, the oldest first.
std::vector<std::string> OlderThan(const probackup::Backup& backup, std::string_view instance) {
  const auto ids = backup.ChainIds();
  std::vector<std::string> older;
  for (auto id = ids.rbegin(); id + 1 < ids.rend(); ++id) older.push_back(JoinPath(instance, *id));
  return older;
}

}  // namespace

std::optional<ProbackupPlace> ProbackupPlaceOf(std::string_view path) {
  const auto [instance, id] = SplitLast(path);
  const auto [backups, instance_name] = SplitLast(instance);
  const auto [catalog, between] = SplitLast(backups);
  if (between != "backups" || catalog.empty() || instance_name.empty() || id.empty()) return std::nullopt;
  return ProbackupPlace{.catalog = std::string(catalog), .instance = std::string(instance_name), .id = std::string(id)};
}

// Other directories may have "backups" and "wal" in them too: it takes a backup to be a catalog.
bool IsProbackupPath(const std::string& path) {
  if (probackup::FindBackupAt(path)) return true;
  const auto part = CatalogPartAt(path);
  const auto candidates = part ? CandidatesIn(*part) : Candidates();
  return candidates && !candidates->directories.empty();
}

Result<ResolvedSource> ResolveProbackup(const std::string& rest, const SourceRequest& request) {
  PGS_ASSIGN(const auto place, Find(rest, request));
  PGS_ASSIGN(const auto backup,
             probackup::Backup::Open({.directory = place.directory, .name = rest, .force = request.force}));
  const auto [above, id] = SplitLast(place.directory);
  ResolvedSource resolved;
  resolved.kind = SourceKind::kPgProbackup;
  resolved.path = place.directory;
  resolved.older = OlderThan(*backup, above);
  resolved.display_name = JoinPath(SplitLast(above).second, id);
  if (place.external != 0) {
    PGS_ASSIGN(resolved.image, backup->MakeExternalImage(place.external));
    return resolved;
  }
  resolved.image = backup->MakeImage();
  if (backup->control().stream) return resolved;
  PGS_ASSIGN(auto archive, backup->OpenWalArchive());
  if (archive) resolved.wal_archives.push_back(std::move(archive));
  return resolved;
}

}  // namespace pgstrata::source
