// Files of this machine as the parts of a TarImage. Each is watched: one that changed since it became a part fails to
// open.
#pragma once

#include <memory>
#include <string>

#include "backup/image/decoded_cache.h"
#include "backup/image/tar_image.h"
#include "foundation/base/error.h"

namespace pgstrata::image {

// A file beside the archives.
Result<TarPart> MakeFilePart(const std::string& path, std::string place);

// An archive. One that is compressed (by its first bytes, or its name) has headers all over it: it is decoded into
// `cache` here, as a whole, unless it is in there. Without a cache that is kUnsupported.
Result<TarPart> MakeArchivePart(const std::string& path, std::string place, const std::shared_ptr<DecodedCache>& cache);

}  // namespace pgstrata::image
