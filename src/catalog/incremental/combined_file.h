// One file of a CombinedImage that several backups hold.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "backup/image/image.h"
#include "catalog/incremental/chain_files.h"

namespace pgstrata::incremental {

// `path` is incremental in the newest backup. Holds its block map and no descriptor. Where the cluster has data
// checksums, pages are compared with them: a block is put together from files whose own checksums no part of them has.
Result<std::unique_ptr<image::ImageFile>> OpenCombinedFile(std::shared_ptr<const ChainFiles> files, std::string path);

// A file that should have `size` bytes, as far as `file` has them. Behind its end every read is `error`.
std::unique_ptr<image::ImageFile> MakeCutFile(std::unique_ptr<image::ImageFile> file, uint64_t size, Error error);

}  // namespace pgstrata::incremental
