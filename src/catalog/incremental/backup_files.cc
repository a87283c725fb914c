#include "catalog/incremental/backup_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "backup/image/directory_image.h"
#include "backup/image/native_file.h"
#include "backup/image/packed_head.h"
#include "backup/image/tar_image.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "postgres/pgdata/backup_label.h"
#include "postgres/pgdata/backup_manifest.h"
#include "postgres/pgdata/control_file.h"

namespace pgstrata::incremental {
namespace {

bool LooksPlain(const std::string& directory) {
  return io::Exists(JoinPath(directory, "PG_VERSION")) && io::Exists(JoinPath(directory, pgdata::kControlFilePath));
}

// A full one where there are several: concurrent backups of a standby, or a combined one beside its parts. Any is good.
const ListedBackup* FindBase(const BackupFacts& incremental, const std::vector<ListedBackup>& listed) {
  const ListedBackup* found = nullptr;
  for (const auto& backup : listed) {
    if (!backup.facts || !backup.facts->Carries(incremental)) continue;
    if (found == nullptr || (backup.facts->is_full() && !found->facts->is_full())) found = &backup;
  }
  return found;
}

// Of a backup whose base archive is compressed, without decoding more of it than its head.
Result<BackupFacts> ReadPackedFacts(const std::string& directory, const std::string& archive) {
  PGS_ASSIGN(const std::string label, image::ReadFromPackedHead(archive, pgdata::kBackupLabelPath));
  const auto manifest = image::OpenNativeFile(JoinPath(directory, pgdata::kBackupManifestPath));
  auto facts = FactsOf(label, manifest ? manifest->get() : nullptr);
  if (facts) return facts;
  return Fail(std::move(facts).error().Wrap(Quoted(directory)));
}

Result<BackupFacts> FactsAt(const std::string& path) {
  if (const std::string archive = image::PackedBaseIn(path); !archive.empty() && !LooksPlain(path)) {
    return ReadPackedFacts(path, archive);
  }
  PGS_ASSIGN(const auto image, OpenBackup(path));
  return ReadFacts(*image);
}

}  // namespace

bool LooksLikeBackup(const std::string& directory) { return LooksPlain(directory) || image::HoldsTarBackup(directory); }

Result<std::unique_ptr<image::Image>> OpenBackup(const std::string& path,
                                                 const std::shared_ptr<image::DecodedCache>& cache) {
  if (io::IsRegularFile(path) || (image::HoldsTarBackup(path) && !LooksPlain(path))) return image::OpenTar(path, cache);
  return image::OpenDirectory(path);
}

ListedBackup DescribeBackup(std::string path) {
  ListedBackup backup{.path = std::move(path), .facts = {}, .problem = {}};
  auto facts = FactsAt(backup.path);
  if (facts) {
    backup.facts = *std::move(facts);
  } else {
    backup.problem = facts.error().message();
  }
  return backup;
}

Result<std::vector<ListedBackup>> ListBackups(const std::string& directory) {
  PGS_ASSIGN(const auto names, io::ListDirectory(directory));
  std::vector<ListedBackup> listed;
  for (const auto& name : names) {
    std::string path = JoinPath(directory, name);
    if (LooksLikeBackup(path)) listed.push_back(DescribeBackup(std::move(path)));
  }
  return listed;
}

Result<std::vector<std::string>> FindChain(const BackupFacts& newest, const std::string& name,
                                           const std::vector<ListedBackup>& listed) {
  std::vector<std::string> chain;
  const BackupFacts* at = &newest;
  std::string at_name = name;
  while (!at->is_full()) {
    const ListedBackup* base = FindBase(*at, listed);
    if (base == nullptr || chain.size() > listed.size()) {
      const auto& wanted = *at->label.incremental_base;
      Error error(ErrorCode::kNotFound,
                  fmt::format("{} is an incremental backup, and the one that it stands on is not here: it starts at {} "
                              "of timeline {}",
                              Quoted(at_name), wanted.lsn.ToString(), wanted.timeline.value));
      for (const auto& other : listed) {
        if (other.problem.empty()) continue;
        return Fail(std::move(error).WithHint("one could not be looked at: " + other.problem +
                                              "; name those of the chain with --chain, the oldest first"));
      }
      return Fail(std::move(error).WithHint(
          "keep the backups of a chain in one directory, or name them with --chain, the oldest first"));
    }
    chain.push_back(base->path);
    at = &*base->facts;
    at_name = base->path;
  }
  std::ranges::reverse(chain);
  return chain;
}

std::vector<ListedBackup> NewestOf(const std::vector<ListedBackup>& listed) {
  std::vector<ListedBackup> newest;
  std::ranges::copy_if(listed, std::back_inserter(newest), [&](const ListedBackup& backup) {
    return std::ranges::none_of(listed, [&](const ListedBackup& other) {
      return backup.facts && other.facts && backup.facts->Carries(*other.facts);
    });
  });
  return newest;
}

Result<std::unique_ptr<CombinedImage>> OpenChain(const std::vector<std::string>& older, ChainBackup newest,
                                                 const std::shared_ptr<image::DecodedCache>& cache) {
  std::vector<ChainBackup> chain;
  for (const auto& path : older) {
    ChainBackup backup;
    PGS_ASSIGN(backup.image, OpenBackup(path, cache));
    PGS_ASSIGN(backup.facts, ReadFacts(*backup.image));
    chain.push_back(std::move(backup));
  }
  chain.push_back(std::move(newest));
  return CombinedImage::Create(std::move(chain));
}

}  // namespace pgstrata::incremental
