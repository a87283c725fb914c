#include "backup/source/probackup_source.h"

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "backup/source/choose.h"
#include "catalog/probackup/backup.h"
#include "catalog/probackup/backup_directory.h"
#include "catalog/probackup/catalog.h"
#include "catalog/probackup/recorded_time.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"

namespace pgstrata::source {
namespace {

// CATALOG, CATALOG/backups, CATALOG/INSTANCE or CATALOG/backups/INSTANCE.
std::optional<ProbackupCatalog> CatalogPartAt(std::string path) {
  constexpr std::string_view kBackups = "backups";
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  if (probackup::IsCatalog(path)) return ProbackupCatalog{.catalog = path, .instance = {}};
  const auto [above, name] = SplitLast(path);
  if (above.empty()) return std::nullopt;
  if (probackup::IsCatalog(std::string(above))) {
    return ProbackupCatalog{.catalog = std::string(above), .instance = std::string(name == kBackups ? "" : name)};
  }
  const auto [catalog, between] = SplitLast(above);
  if (catalog.empty() || between != kBackups || !probackup::IsCatalog(std::string(catalog))) return std::nullopt;
  return ProbackupCatalog{.catalog = std::string(catalog), .instance = std::string(name)};
}

struct Candidates {
  std::vector<std::string> directories;
  std::vector<std::string> lines;  // the same for a person
  std::vector<BackupEnd> ends;     // of those that can be opened, in the same order
  size_t instances = 0;
};

// When pg_probackup itself says that the data are consistent; in 2.0 only when all was done.
std::optional<Timestamp> EndOf(const probackup::BackupControl& control) {
  const auto seconds =
      probackup::ParseRecordedTime(control.recovery_time.empty() ? control.end_time : control.recovery_time);
  if (!seconds) return std::nullopt;
  return Timestamp{static_cast<int64_t>(*seconds) * 1'000'000'000};
}

std::string Described(const probackup::ListedBackup& backup) {
  if (!backup.control) return backup.directory + " (" + (backup.problem ? backup.problem->message() : "") + ')';
  const auto& control = *backup.control;
  std::string line = backup.directory + " (" + std::string(probackup::BackupModeName(control.mode)) + ", " +
                     control.start_time + ", " + control.status;
  if (backup.problem) line += ": " + backup.problem->message();
  return line + ')';
}

Result<Candidates> CandidatesIn(const ProbackupCatalog& part) {
  PGS_ASSIGN(const auto instances, probackup::ListCatalog(part.catalog));
  Candidates candidates;
  for (const auto& instance : instances) {
    if (!part.instance.empty() && instance.name != part.instance) continue;
    if (!instance.backups.empty()) ++candidates.instances;
    for (const auto& backup : instance.backups) {
      if (!io::Exists(JoinPath(backup.directory, probackup::kControlFileName))) continue;
      if (backup.control && !backup.problem) {
        candidates.ends.push_back(
            {.number = candidates.directories.size(), .time = EndOf(*backup.control), .lsn = backup.control->stop});
      }
      candidates.directories.push_back(backup.directory);
      candidates.lines.push_back(Described(backup));
    }
  }
  return candidates;
}

struct Found {
  probackup::BackupPlace place;
  bool newest_was_taken = false;
};

Result<Found> Find(const std::string& rest, const SourceRequest& request) {
  auto place = probackup::FindBackup(rest);
  if (place) return Found{.place = *std::move(place)};
  const auto part = CatalogPartAt(rest);
  if (!part) return Fail(std::move(place).error());
  PGS_ASSIGN(auto candidates, CandidatesIn(*part));
  if (candidates.directories.empty()) return Fail(std::move(place).error());
  const bool take_newest = request.newest_before && candidates.instances == 1 && !candidates.ends.empty();
  PGS_ASSIGN(const size_t chosen, take_newest ? NewestBefore(rest, candidates.ends, *request.newest_before)
                                              : ChooseBackup(rest, candidates.lines, request));
  return Found{.place = {.directory = std::move(candidates.directories.at(chosen))}, .newest_was_taken = take_newest};
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

Result<probackup::BackupPlace> FindProbackup(const std::string& rest, const SourceRequest& request) {
  PGS_ASSIGN(auto found, Find(rest, request));
  return std::move(found.place);
}

std::optional<ProbackupCatalog> FindProbackupCatalog(const std::string& rest) {
  if (auto part = CatalogPartAt(rest)) return part;
  const auto place = probackup::FindBackup(rest);
  return place ? CatalogPartAt(std::string(SplitLast(place->directory).first)) : std::nullopt;
}

// Other directories may have "backups" and "wal" in them too: it takes a backup to be a catalog.
bool IsProbackupPath(const std::string& path) {
  if (probackup::FindBackupAt(path)) return true;
  const auto part = CatalogPartAt(path);
  const auto candidates = part ? CandidatesIn(*part) : Candidates();
  return candidates && !candidates->directories.empty();
}

Result<ResolvedSource> ResolveProbackup(const std::string& rest, const SourceRequest& request) {
  PGS_ASSIGN(const auto found, Find(rest, request));
  const auto& place = found.place;
  PGS_ASSIGN(const auto backup,
             probackup::Backup::Open({.directory = place.directory, .name = rest, .force = request.force}));
  const auto [above, id] = SplitLast(place.directory);
  ResolvedSource resolved;
  resolved.kind = SourceKind::kPgProbackup;
  resolved.path = place.directory;
  resolved.newest_was_taken = found.newest_was_taken;
  resolved.older = OlderThan(*backup, above);
  resolved.display_name = JoinPath(SplitLast(above).second, id);
  if (place.external != 0) {
    PGS_ASSIGN(resolved.image, backup->MakeExternalImage(place.external));
    return resolved;
  }
  resolved.image = backup->MakeImage();
  if (backup->control().stream && !request.all_wal) return resolved;
  PGS_ASSIGN(auto archive, backup->OpenWalArchive());
  if (archive) resolved.wal_archives.push_back(std::move(archive));
  return resolved;
}

}  // namespace pgstrata::source
