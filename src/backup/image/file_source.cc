#include "backup/image/file_source.h"

#include <algorithm>
#include <utility>

namespace pgstrata::image {
namespace {

class FileSource final : public codec::ByteSource {
 public:
  explicit FileSource(std::unique_ptr<ImageFile> file) : file_(std::move(file)) {}

  Result<size_t> Read(MutableBytes out) override {
    const size_t count = std::min<uint64_t>(out.size(), file_->size() - offset_);
    if (count == 0) return 0;
    PGS_TRY(file_->ReadAt(offset_, out.first(count)));
    offset_ += count;
    return count;
  }

 private:
  const std::unique_ptr<ImageFile> file_;
  uint64_t offset_ = 0;
};

}  // namespace

std::unique_ptr<codec::ByteSource> SourceOf(std::unique_ptr<ImageFile> file) {
  return std::make_unique<FileSource>(std::move(file));
}

}  // namespace pgstrata::image
