// What lies at a path that was named as a backup.
#pragma once

#include <string>

#include "backup/image/image.h"
#include "backup/source/source_name.h"
#include "foundation/base/error.h"

namespace pgstrata::source {

// The kind whose file has to open `path`: that of a catalog for a backup in one, a part of such a backup (whose names
// may look like PGDATA: it is that tool's to unpack), or the catalog itself. kDirectory for all else: what
// pg_basebackup wrote in any form, or nothing that is known.
SourceKind Recognise(const std::string& path);

// Success where the image looks like PGDATA: it holds PG_VERSION and global/pg_control. Otherwise kInvalidArgument.
// `typed` is what the user called it.
Status RequirePlainBackup(const image::Image& image, const std::string& typed);

}  // namespace pgstrata::source
