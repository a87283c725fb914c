#include "backup/image/buffer_file.h"

#include <cstring>
#include <utility>

namespace pgstrata::image {
namespace {

class BufferFile final : public ImageFile {
 public:
  explicit BufferFile(std::vector<std::byte> owned) : owned_(std::move(owned)), content_(owned_) {}
  explicit BufferFile(ByteView content) : content_(content) {}

  [[nodiscard]] uint64_t size() const override { return content_.size(); }
  Status ReadAt(uint64_t offset, MutableBytes out) const override {
    if (offset > content_.size() || content_.size() - offset < out.size()) {
      return Fail(ErrorCode::kIo, "read beyond the end of a file of " + std::to_string(content_.size()) + " bytes");
    }
    if (!out.empty()) std::memcpy(out.data(), content_.data() + offset, out.size());
    return {};
  }

 private:
  const std::vector<std::byte> owned_;
  const ByteView content_;
};

}  // namespace

std::unique_ptr<ImageFile> MakeBufferFile(std::vector<std::byte> content) {
  return std::make_unique<BufferFile>(std::move(content));
}

std::unique_ptr<ImageFile> MakeBufferView(ByteView content) { return std::make_unique<BufferFile>(content); }

}  // namespace pgstrata::image
