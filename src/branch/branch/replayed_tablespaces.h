// Tablespaces that a recovery would make. Replaying CREATE TABLESPACE, PostgreSQL changes the mode of the place that
// the record names and makes a directory in it (up to 14 it empties that first), before it sets the link: on the
// production host that is production's place. `open` confines its server; who starts a server himself has to be kept
// from it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "backup/image/image.h"
#include "backup/image/wal_archive.h"
#include "branch/branch/cluster_facts.h"
#include "foundation/base/error.h"
#include "postgres/pgdata/wal_record.h"

namespace pgstrata::branch {

// The place that a record makes a tablespace in; empty for other records and for a tablespace in the data directory. It
// lives as long as the record.
std::string_view TablespacePlaceMade(const pgdata::WalRecord& record);
// kUnsupported: the WAL of the source that the user knows as `name` makes a tablespace at `place`.
Status RefuseTablespaceAt(std::string_view place, const std::string& name);

// Reads the WAL that recovery would replay, to its end. kUnsupported, naming the place, where it makes a tablespace.
// Nothing to replay costs nothing.
Status RefuseReplayedTablespaces(const image::Image& image, const ClusterFacts& facts,
                                 const std::vector<std::unique_ptr<image::WalArchive>>& archives);

}  // namespace pgstrata::branch
