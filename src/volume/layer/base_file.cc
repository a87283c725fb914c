#include "volume/layer/base_file.h"

#include <functional>

#include "foundation/base/log.h"

namespace pgstrata::layer {

BaseFile::BaseFile(const image::Image& image, std::string path, uint64_t size, OpenFiles& open_files,
                   Counters& counters)
    : image_(image), path_(std::move(path)), size_(size), counters_(counters), file_(open_files) {}

Result<std::shared_ptr<const image::ImageFile>> BaseFile::Pin() {
  return file_.Pin([this]() -> Result<std::shared_ptr<const image::ImageFile>> {
    PGS_ASSIGN(std::shared_ptr<const image::ImageFile> file, image_.Open(path_));
    if (file->size() != size_) {
      return Fail(ErrorCode::kCorrupt, "\"" + path_ + "\" has " + std::to_string(file->size()) + " bytes and had " +
                                           std::to_string(size_) + " when its directory was read");
    }
    return file;
  });
}

vfs::FsStatus BaseFile::ReadAt(uint64_t offset, MutableBytes out) {
  auto file = Pin();
  if (!file) return Report(file.error());
  if (const auto status = (*file)->ReadAt(offset, out); !status) return Report(status.error());
  counters_.base_bytes_read.Add(out.size());
  return {};
}

uint64_t BaseFile::NextData(uint64_t offset) {
  const auto file = Pin();
  return file ? (*file)->NextData(offset) : offset;
}

vfs::FsStatus BaseFile::Report(const Error& error) {
  constexpr uint32_t kMostReports = 100;  // of one file: a lost one fails each of its blocks
  const size_t digest = std::hash<std::string>{}(error.message());
  if (last_reported_.exchange(digest) != digest && reports_.fetch_add(1) < kMostReports) {
    log::Error("reading \"{}\" of \"{}\" fails: {}", path_, image_.name(), error.message());
  }
  return vfs::FsError(EIO);
}

}  // namespace pgstrata::layer
