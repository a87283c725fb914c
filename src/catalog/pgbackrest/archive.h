// The WAL that pgBackRest has archived, as a WalArchive.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backup/image/wal_archive.h"

namespace pgstrata::pgbackrest {

// `directories` are those of one cluster, relative to the repository's directory `root` ("archive/main/15-1");
// `passphrase` is that of archive.info, empty where nothing is encrypted. Nothing is read before it is asked for; the
// archive may grow while it is open. Open is kCorrupt where a segment has not the SHA-1 that its name says, or where
// two different ones have the same name.
std::unique_ptr<image::WalArchive> MakeArchive(std::string root, std::vector<std::string> directories,
                                               std::string passphrase);

}  // namespace pgstrata::pgbackrest
