#include "catalog/incremental/manifest_names.h"

#include <algorithm>

#include "foundation/base/log.h"
#include "foundation/base/text.h"
#include "postgres/pgdata/backup_manifest.h"

namespace pgstrata::incremental {

void ManifestNames::Read() const {
  constexpr uint64_t kLargest = 1ULL << 30;
  const auto text = image::ReadSmallFile(backup_, pgdata::kBackupManifestPath, kLargest);
  if (!text && text.error().code() == ErrorCode::kNotFound) return;
  const auto manifest = text ? pgdata::ParseBackupManifest(*text) : Result<pgdata::BackupManifest>(Fail(text.error()));
  if (!manifest) {
    log::Warning("lost files of \"{}\" cannot be noticed: {}", backup_.name(), manifest.error().message());
    return;
  }
  for (const auto& file : manifest->files) {
    const auto [directory, name] = SplitLast(file.path);
    directories_[std::string(directory)].push_back({std::string(name), file.size});
  }
  for (auto& [directory, files] : directories_) std::ranges::sort(files, {}, &File::name);
}

const std::vector<ManifestNames::File>& ManifestNames::In(std::string_view directory) const {
  static const std::vector<File> kNone;
  std::call_once(once_, [this] { Read(); });
  const auto found = directories_.find(std::string(directory));
  return found == directories_.end() ? kNone : found->second;
}

std::optional<ManifestNames::File> ManifestNames::Find(std::string_view path) const {
  const auto [directory, name] = SplitLast(path);
  const auto& files = In(directory);
  const auto found =
      std::ranges::lower_bound(files, name, {}, [](const File& file) { return std::string_view(file.name); });
  if (found == files.end() || found->name != name) return std::nullopt;
  return *found;
}

}  // namespace pgstrata::incremental
