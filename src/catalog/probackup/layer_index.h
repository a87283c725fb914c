// The page index of a file in one backup.
#pragma once

#include "catalog/probackup/backup_directory.h"
#include "catalog/probackup/file_tree.h"
#include "catalog/probackup/page_index.h"
#include "foundation/base/error.h"

namespace pgstrata::probackup {

// What a page header map says of a file. kCorrupt where the map is missing or damaged there.
Result<PageIndex> IndexFromHeaderMap(const image::NativeFile& map, const HeaderMapPlace& place, uint64_t stream_size);

struct WalkedStream {
  PageIndex pages;
  // It has other bytes than the list's checksum stands for, or another number of pages than the list says.
  bool suspect = false;
};
// What the stream says. `stream` has `copy.size` bytes.
Result<WalkedStream> IndexFromStream(const image::NativeFile& stream, const StoredCopy& copy,
                                     const ProgramVersion& version);

}  // namespace pgstrata::probackup
