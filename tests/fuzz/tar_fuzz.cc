#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "backup/image/buffer_file.h"
#include "backup/image/tar_image.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pgstrata;
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto opened = [bytes]() -> Result<std::unique_ptr<image::ImageFile>> { return image::MakeBufferView(bytes); };
  auto tar = image::TarImage::Create("fuzz", {{.name = "base.tar", .place = "", .open = opened},
                                              {.name = "16384.tar", .place = "pg_tblspc/16384", .open = opened}});
  if (!tar) return 0;
  const auto read = image::Walk(**tar, "", [&](const std::string& path, const image::Entry& entry) -> Status {
    if (path.starts_with('/') || path.find("//") != std::string::npos) std::abort();
    if (entry.kind != image::EntryKind::kFile) return {};
    const auto file = (*tar)->Open(path);
    if (!file || (*file)->size() != entry.size) std::abort();
    std::vector<std::byte> content(entry.size < 4096 ? entry.size : 4096);
    if (!(*file)->ReadAt(entry.size - content.size(), content)) std::abort();
    return {};
  });
  if (!read) std::abort();
  return 0;
}
