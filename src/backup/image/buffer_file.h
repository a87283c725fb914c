// Bytes in memory as an ImageFile.
#pragma once

#include <memory>
#include <vector>

#include "backup/image/image.h"

namespace pgstrata::image {

std::unique_ptr<ImageFile> MakeBufferFile(std::vector<std::byte> content);
// Does not own `content`, which outlives it.
std::unique_ptr<ImageFile> MakeBufferView(ByteView content);

}  // namespace pgstrata::image
