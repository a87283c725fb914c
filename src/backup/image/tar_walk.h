// The members of a tar archive, found by their headers alone: the data between them is not read.
#pragma once

#include <functional>

#include "backup/image/image.h"
#include "backup/image/tar_header.h"

namespace pgstrata::image {

// A file, a directory or a link with its extensions applied and its path normalized ("" is the archive's root).
struct TarMember {
  TarHeader header;
  uint64_t data = 0;  // where its bytes begin in the archive; all of [data, data + size) lies inside it
};

// Calls `visit` for each member in its order. Devices and pipes are passed over. Reads a few kilobytes a member.
// kCorrupt, naming the byte: a damaged header, or an archive that ends before its end; kUnsupported: see tar_header.h.
Status VisitTarMembers(const ImageFile& archive, const std::function<Status(const TarMember&)>& visit);

}  // namespace pgstrata::image
