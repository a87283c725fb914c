#include "backup/image/image.h"

namespace pgstrata::image {

Result<std::string> ReadSmallFile(const Image& image, std::string_view path, uint64_t limit) {
  PGS_ASSIGN(const auto file, image.Open(path));
  if (file->size() > limit) {
    return Fail(ErrorCode::kUnsupported, '"' + std::string(path) + "\" of \"" + image.name() + "\" is larger than " +
                                             std::to_string(limit) + " bytes");
  }
  std::string content(file->size(), '\0');
  PGS_TRY(file->ReadAt(0, std::as_writable_bytes(std::span(content))));
  return content;
}

}  // namespace pgstrata::image
