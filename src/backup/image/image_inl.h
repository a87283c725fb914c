// The body of Walk, whose contract is in image.h.
#pragma once

#include "foundation/base/text.h"

namespace pgstrata::image {

template <typename Visitor>
Status Walk(const Image& image, std::string_view directory, Visitor&& visit) {
  PGS_ASSIGN(const auto entries, image.List(directory));
  for (const Entry& entry : entries) {
    const std::string path = JoinPath(directory, entry.name);
    PGS_TRY(visit(path, entry));
    if (entry.kind == EntryKind::kDirectory) PGS_TRY(Walk(image, path, visit));
  }
  return {};
}

}  // namespace pgstrata::image
