// Where the backups of a chain lie: directories that pg_basebackup wrote, plain or of tar files.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backup/image/decoded_cache.h"
#include "backup/image/image.h"
#include "catalog/incremental/chain.h"
#include "catalog/incremental/combined_image.h"
#include "foundation/base/error.h"

namespace pgstrata::incremental {

// Whether a native directory looks like one backup, by the names in it.
bool LooksLikeBackup(const std::string& directory);
// A backup as it lies there, an incremental one too: a plain directory, a directory of tars or a tar file.
// Compressed tars are decoded into `cache`; without one they are kUnsupported.
Result<std::unique_ptr<image::Image>> OpenBackup(const std::string& path,
                                                 const std::shared_ptr<image::DecodedCache>& cache = nullptr);

struct ListedBackup {
  std::string path;
  std::optional<BackupFacts> facts;
  std::string problem;  // where there are no facts: why
};

// One backup, by what it says of itself. Nothing is decoded: one of compressed tars is a problem.
ListedBackup DescribeBackup(std::string path);
// The backups directly below `directory`, in the order of their names. One that cannot be read is listed with its
// problem. Reads a few small files of each, and the headers of tar files.
Result<std::vector<ListedBackup>> ListBackups(const std::string& directory);

// Those of `listed` that `newest` stands on, the oldest first, without itself; none for a full backup. kNotFound,
// naming the position of the backup that is missing, where the chain has a gap.
Result<std::vector<std::string>> FindChain(const BackupFacts& newest, const std::string& name,
                                           const std::vector<ListedBackup>& listed);

// Those that no other one of `listed` stands on: the newest of each chain.
std::vector<ListedBackup> NewestOf(const std::vector<ListedBackup>& listed);

// `newest` on the backups at the native paths `older`, the oldest first. `cache` is as OpenBackup has it.
Result<std::unique_ptr<CombinedImage>> OpenChain(const std::vector<std::string>& older, ChainBackup newest,
                                                 const std::shared_ptr<image::DecodedCache>& cache = nullptr);

}  // namespace pgstrata::incremental
