// What stands at the beginning of a compressed archive, without decoding the rest of it.
#pragma once

#include <string>
#include <string_view>

#include "foundation/base/error.h"

namespace pgstrata::image {

// The content of the file `path` of the archive (a native path, compressed), where that ends within the first mebibyte
// of what the archive decodes to: pg_basebackup puts backup_label first. kNotFound where it does not, kCorrupt where
// the archive is damaged before that.
Result<std::string> ReadFromPackedHead(const std::string& archive, std::string_view path);

// The compressed base archive of the backup in tar format in `directory`; empty where it has none, or one that is not
// compressed.
std::string PackedBaseIn(const std::string& directory);

}  // namespace pgstrata::image
