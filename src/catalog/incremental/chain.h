// The backups that an incremental backup stands on: what each says of itself, and whether they belong together.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "backup/image/image.h"
#include "backup/image/page_check.h"
#include "foundation/base/error.h"
#include "postgres/pgdata/backup_label.h"

namespace pgstrata::incremental {

struct BackupFacts {
  pgdata::BackupLabel label;
  uint64_t system_identifier = 0;  // 0: not known
  int major_version = 0;
  bool data_checksums = false;

  // What its pages have to be like: those that changed after it began may be torn.
  [[nodiscard]] image::PageRules page_rules() const {
    return {.checksums = data_checksums, .torn_from = label.start, .torn_until = {}};
  }
  [[nodiscard]] bool is_full() const { return !label.incremental_base; }
  // Whether `incremental` was taken against this one, as far as the two are known.
  [[nodiscard]] bool Carries(const BackupFacts& incremental) const;
};

// Reads backup_label, pg_control and the head of backup_manifest. kInvalidArgument where there is no label: no online
// backup; kCorrupt where the manifest is of another cluster.
Result<BackupFacts> ReadFacts(const image::Image& image);

// The same of a backup that has not been decoded yet, from its backup_label and the head of its backup_manifest, which
// may be null. The version is not known, nor the cluster, where no manifest says it (before 17).
Result<BackupFacts> FactsOf(std::string_view label, const image::ImageFile* manifest);

// One backup of a chain.
struct ChainBackup {
  std::shared_ptr<const image::Image> image;
  BackupFacts facts;
};

// `chain`: the oldest first. kInvalidArgument, naming the backup, where it does not begin with a full one, a backup was
// not taken against the one before it, or they are of several clusters.
Status CheckChain(const std::vector<ChainBackup>& chain);

}  // namespace pgstrata::incremental
