#include "catalog/probackup/catalog.h"

#include <algorithm>
#include <map>
#include <utility>

#include "catalog/probackup/backup_directory.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"

namespace pgstrata::probackup {
namespace {

constexpr std::string_view kBackups = "backups";
constexpr std::string_view kWal = "wal";

bool IsBackup(const std::string& path) { return io::Exists(JoinPath(path, kControlFileName)); }

// "/x/ID/external_directories/externaldir3", and the same without the directory between, is "/x/ID" and 3; any other
// path is itself and 0.
std::pair<std::string, uint32_t> SplitExternal(const std::string& path) {
  constexpr uint64_t kLargest = 1 << 20;
  const auto [between, prefix] = SplitLast(kExternalPrefix);
  auto [rest, name] = SplitLast(path);
  if (!name.starts_with(prefix)) return {path, 0};
  const auto number = ParseDecimal(name.substr(prefix.size()));
  if (!number || *number > kLargest) return {path, 0};
  if (SplitLast(rest).second == between) rest = SplitLast(rest).first;
  return {std::string(rest), static_cast<uint32_t>(*number)};
}

std::string Joined(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

std::vector<std::string> DirectoriesIn(const std::string& path) {
  auto names = io::ListDirectory(path).value_or(std::vector<std::string>{});
  std::erase_if(
      names, [&](const std::string& name) { return name.starts_with('.') || !io::IsDirectory(JoinPath(path, name)); });
  return names;
}

// What a name that leads to no backup leads to.
std::string HintFor(const std::string& catalog, std::string_view instance) {
  const std::string backups = JoinPath(catalog, kBackups);
  if (!io::IsDirectory(backups))
    return "name it CATALOG/INSTANCE/ID; CATALOG is the directory that holds \"backups\" and \"wal\"";
  const std::string directory = JoinPath(backups, instance);
  if (instance.empty() || !io::IsDirectory(directory)) {
    return "its instances are: " + Joined(DirectoriesIn(backups)) + "; name it CATALOG/INSTANCE/ID";
  }
  return "the backups of " + std::string(instance) + " are: " + Joined(DirectoriesIn(directory));
}

std::string WithoutTrailingSlashes(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

// What keeps each backup from being opened, its own or of a parent.
void LinkChains(std::vector<ListedBackup>& backups) {
  std::map<std::string, const ListedBackup*, std::less<>> by_id;
  for (const auto& backup : backups) by_id.emplace(backup.id, &backup);
  for (auto& backup : backups) {
    if (!backup.control) continue;
    if (auto usable = CheckUsable(*backup.control, false); !usable) backup.problem = std::move(usable).error();
  }
  for (auto& backup : backups) {
    for (const ListedBackup* at = &backup; at->control && at->control->mode != BackupMode::kFull;) {
      const auto parent = by_id.find(at->control->parent);
      const bool again = std::ranges::find(backup.chain, at->control->parent) != backup.chain.end();
      if (parent == by_id.end() || again) {
        backup.problem =
            Error(ErrorCode::kNotFound, "backup " + at->control->parent + ", on which it stands, is missing");
        break;
      }
      at = parent->second;
      backup.chain.push_back(at->id);
      const bool own = at->control && CheckUsable(*at->control, false).has_value();
      if (!own && !backup.problem) {
        backup.problem = Error(ErrorCode::kCorrupt, "backup " + at->id + ", on which it stands, cannot be used");
      }
    }
  }
}

std::vector<ListedBackup> ListInstance(const std::string& instance) {
  std::vector<ListedBackup> backups;
  for (const auto& name : DirectoriesIn(instance)) {
    ListedBackup listed{.id = name, .directory = JoinPath(instance, name)};
    auto backup = BackupDirectory::Open(listed.directory);
    if (backup) {
      listed.control = (*backup)->control();
      listed.id = listed.control->id;
    } else {
      listed.problem = std::move(backup).error();
    }
    backups.push_back(std::move(listed));
  }
  LinkChains(backups);
  std::ranges::sort(backups, [](const ListedBackup& a, const ListedBackup& b) {
    return std::pair(a.id.size(), a.id) < std::pair(b.id.size(), b.id);  // IDs are numbers
  });
  return backups;
}

}  // namespace

std::optional<BackupPlace> FindBackupAt(const std::string& path) {
  const auto resolved = io::ResolvePath(path);
  if (!resolved) return std::nullopt;
  if (IsBackup(*resolved)) return BackupPlace{.directory = *resolved};
  const auto [parent, name] = SplitLast(*resolved);
  if (name == kDatabaseDirectory && IsBackup(std::string(parent))) return BackupPlace{.directory = std::string(parent)};
  auto [backup, external] = SplitExternal(*resolved);
  if (external == 0 || !IsBackup(backup)) return std::nullopt;
  return BackupPlace{.directory = std::move(backup), .external = external};
}

Result<BackupPlace> FindBackup(const std::string& name) {
  const auto [path, external] = SplitExternal(WithoutTrailingSlashes(name));
  if (auto place = FindBackupAt(path)) {
    if (external != 0) place->external = external;
    return *place;
  }
  const auto [above, id] = SplitLast(path);
  const auto [above_instance, instance] = SplitLast(above);
  const std::string catalog = above_instance.empty() && path.starts_with('/') ? "/" : std::string(above_instance);
  const std::string directory = JoinPath(JoinPath(JoinPath(catalog, kBackups), instance), id);
  if (!instance.empty()) {
    if (auto place = FindBackupAt(directory)) {
      place->external = external;
      return *place;
    }
  }
  Error error(ErrorCode::kNotFound, "there is no pg_probackup backup " + Quoted(name));
  if (IsCatalog(path)) return Fail(std::move(error).WithHint(HintFor(path, "")));
  if (IsCatalog(std::string(above))) return Fail(std::move(error).WithHint(HintFor(std::string(above), id)));
  return Fail(std::move(error).WithHint(HintFor(catalog, instance)));
}

bool IsCatalog(const std::string& path) {
  return io::IsDirectory(JoinPath(path, kBackups)) && io::IsDirectory(JoinPath(path, kWal)) && !IsBackup(path);
}

std::string WalDirectoryOf(const std::string& backup_directory) {
  const auto instance = SplitLast(backup_directory).first;
  const auto [backups, name] = SplitLast(instance);
  return JoinPath(JoinPath(SplitLast(backups).first, kWal), name);
}

Result<std::vector<ListedInstance>> ListCatalog(const std::string& path) {
  if (!IsCatalog(path)) {
    return Fail(Error(ErrorCode::kInvalidArgument, Quoted(path) + " is not a pg_probackup catalog")
                    .WithHint("a catalog is the directory that holds \"backups\" and \"wal\""));
  }
  PGS_ASSIGN(const std::string catalog, io::ResolvePath(path));
  const std::string backups = JoinPath(catalog, kBackups);
  PGS_TRY(io::ListDirectory(backups));
  std::vector<ListedInstance> instances;
  for (const auto& name : DirectoriesIn(backups)) {
    const std::string directory = JoinPath(backups, name);
    instances.push_back({.name = name,
                         .directory = directory,
                         .wal_directory = JoinPath(JoinPath(catalog, kWal), name),
                         .backups = ListInstance(directory)});
  }
  return instances;
}

}  // namespace pgstrata::probackup
