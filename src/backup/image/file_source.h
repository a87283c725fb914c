// The bytes of an image file in order.
#pragma once

#include <memory>

#include "backup/image/image.h"
#include "foundation/codec/byte_source.h"

namespace pgstrata::image {

std::unique_ptr<codec::ByteSource> SourceOf(std::unique_ptr<ImageFile> file);

}  // namespace pgstrata::image
