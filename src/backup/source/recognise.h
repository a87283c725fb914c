// What lies in a directory that was named as a backup.
#pragma once

#include <string>

#include "backup/image/image.h"
#include "foundation/base/error.h"

namespace pgstrata::source {

// Success where the image looks like PGDATA: it holds PG_VERSION and global/pg_control. Otherwise an error that says
// what lies there as far as that can be told: kUnsupported for a backup in another format (tar files, or a part of a
// pg_probackup or pgBackRest catalog, whose files are not plain, or an incremental one), kInvalidArgument for anything
// else. `root` is the native directory, `typed` what the user called it.
Status RequirePlainBackup(const image::Image& image, const std::string& root, const std::string& typed);

}  // namespace pgstrata::source
