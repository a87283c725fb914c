// A relation's file whose pages are compared with their checksums before they are given out: for bytes that nothing
// else in their format vouches for when a part of them is read.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "backup/image/image.h"
#include "backup/image/page_check.h"

namespace pgstrata::image {

// Where a page comes from.
struct PageOrigin {
  std::string backup;  // for messages
  PageRules rules;
};

// `path` is the file's for messages, `first_in_fork` its first block there. Reads of a page that is damaged by the
// rules of its origin, a page that may be torn aside, are kCorrupt and name block, file and backup.
std::unique_ptr<ImageFile> MakePageCheckedFile(std::unique_ptr<ImageFile> file, std::string path,
                                               uint64_t first_in_fork,
                                               std::function<PageOrigin(uint32_t block)> origin_of);

}  // namespace pgstrata::image
