#include "backup/image/page_checked_file.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "foundation/base/text.h"
#include "postgres/pgdata/page.h"

namespace pgstrata::image {
namespace {

using pgdata::kPageSize;

class PageCheckedFile final : public ImageFile {
 public:
  PageCheckedFile(std::unique_ptr<ImageFile> file, std::string path, uint64_t first_in_fork,
                  std::function<PageOrigin(uint32_t block)> origin_of)
      : file_(std::move(file)),
        path_(std::move(path)),
        first_in_fork_(first_in_fork),
        origin_of_(std::move(origin_of)) {}

  [[nodiscard]] uint64_t size() const override { return file_->size(); }
  [[nodiscard]] uint64_t NextData(uint64_t offset) const override { return file_->NextData(offset); }

  Status ReadAt(uint64_t offset, MutableBytes out) const override {
    const uint64_t begin = offset - offset % kPageSize;
    const uint64_t end = std::min((offset + out.size() + kPageSize - 1) / kPageSize * kPageSize, size());
    if (begin == offset && end == offset + out.size()) {
      PGS_TRY(file_->ReadAt(offset, out));
      return Check(begin, out);
    }
    std::vector<std::byte> pages(end - begin);
    PGS_TRY(file_->ReadAt(begin, pages));
    PGS_TRY(Check(begin, pages));
    std::memcpy(out.data(), pages.data() + (offset - begin), out.size());
    return {};
  }

 private:
  Status Check(uint64_t begin, ByteView pages) const {
    for (size_t at = 0; at + kPageSize <= pages.size(); at += kPageSize) {
      const auto block = static_cast<uint32_t>((begin + at) / kPageSize);
      const auto page = pages.subspan(at, kPageSize);
      if (!CheckPage(page, block, first_in_fork_ + block, {.checksums = true})) continue;
      const PageOrigin origin = origin_of_(block);
      const auto bad = CheckPage(page, block, first_in_fork_ + block, origin.rules);
      if (!bad || bad->may_be_torn) continue;
      return Fail(ErrorCode::kCorrupt, "block " + std::to_string(block) + " of " + Quoted(path_) +
                                           ": from the backup " + Quoted(origin.backup) + ": " + bad->problem);
    }
    return {};
  }

  const std::unique_ptr<ImageFile> file_;
  const std::string path_;
  const uint64_t first_in_fork_;
  const std::function<PageOrigin(uint32_t block)> origin_of_;
};

}  // namespace

std::unique_ptr<ImageFile> MakePageCheckedFile(std::unique_ptr<ImageFile> file, std::string path,
                                               uint64_t first_in_fork,
                                               std::function<PageOrigin(uint32_t block)> origin_of) {
  return std::make_unique<PageCheckedFile>(std::move(file), std::move(path), first_in_fork, std::move(origin_of));
}

}  // namespace pgstrata::image
