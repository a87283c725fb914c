// Where what has no random access is decoded to.
#pragma once

#include <memory>

#include "backup/image/decoded_cache.h"
#include "backup/source/source.h"

namespace pgstrata::source {

// Null where the request names no directory for it.
inline std::shared_ptr<image::DecodedCache> CacheFor(const SourceRequest& request) {
  if (request.cache_directory.empty()) return nullptr;
  return std::make_shared<image::DecodedCache>(request.cache_directory);
}

}  // namespace pgstrata::source
