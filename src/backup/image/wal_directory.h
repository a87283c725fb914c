// A directory of WAL as a WalArchive: what archive_command, pg_receivewal or a copy of pg_wal leaves. Segments of any
// size, plain or as .gz, .lz4, .zst, .bz2, whole or .partial (in either order: NAME.gz.partial is pg_receivewal's,
// NAME.partial.gz a compressing archive's), timeline and backup history files. Everything else in it is passed over. A
// segment without suffix that an archive_command has compressed all the same is known by its first bytes.
//
// A partial segment is what a receiver had when it was stopped: where the file is shorter than the segment, and also
// where its compression was cut short, the rest of the segment reads as zeros, as pg_receivewal fills it up.
#pragma once

#include <memory>
#include <string>

#include "backup/image/wal_archive.h"

namespace pgstrata::image {

// Nothing is read before it is asked for. No file of it may change while it is open: that is kCorrupt. A compressed or
// partial file is unpacked by Open; of all that are open no more stays in memory than UnpackedSegments holds, and what
// was dropped is unpacked again when it is read.
// kNotFound where there is nothing at `path`, kInvalidArgument where it is not a directory.
Result<std::unique_ptr<WalArchive>> OpenWalDirectory(const std::string& path);

}  // namespace pgstrata::image
