// The kinds of catalogs that ListSnapshots knows. Private to *snapshots.cc and snapshot_list.cc.
#pragma once

#include <string>
#include <vector>

#include "backup/image/wal_archive.h"
#include "backup/source/snapshot_list.h"
#include "foundation/base/types.h"

namespace pgstrata::source {

// `rest` is as the Resolve functions of these kinds take it.
Result<SnapshotList> ListProbackupSnapshots(const std::string& rest, const SourceRequest& request);
Result<SnapshotList> ListPgbackrestSnapshots(const std::string& rest, const SourceRequest& request);
Result<SnapshotList> ListBaseBackupSnapshots(const std::string& path, const SourceRequest& request);

// Those that others stand on before those, siblings by their place in `snapshots`.
void OrderByChain(std::vector<ListedSnapshot>& snapshots);

// Names of an archive, to be asked which segments of a range it lacks.
class ArchivedSegments {
 public:
  explicit ArchivedSegments(const std::vector<image::WalFile>& files);
  // The first that is missing from `first` to `last`, names of segments; empty: none, or the range makes no sense.
  [[nodiscard]] std::string FirstMissing(const std::string& first, const std::string& last) const;
  [[nodiscard]] bool Has(const std::string& name) const;

 private:
  std::vector<std::string> names_;  // sorted
};

// kMissingWal.
Error MissingWalError(const std::string& segment, const std::string& where);

}  // namespace pgstrata::source
