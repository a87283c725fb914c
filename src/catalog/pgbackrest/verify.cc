#include "catalog/pgbackrest/verify.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "foundation/base/text.h"
#include "foundation/codec/sha1.h"

namespace pgstrata::pgbackrest {
namespace {

constexpr uint64_t kPage = 8192;
constexpr size_t kReadStep = 1 << 20;

class FileCheck {
 public:
  FileCheck(const StoredContent& content, const ManifestFile& file, const VerifyEvents& events)
      : content_(content), file_(file), events_(events) {}

  // The number of damages.
  uint64_t Run() {
    CheckStored();
    if (file_.is_block_incremental()) {
      CheckBlocks();
    } else {
      CheckStream();
    }
    return damages_;
  }

 private:
  void Report(std::optional<uint64_t> offset, const std::string& what) {
    ++damages_;
    const auto block = offset ? std::optional(*offset / kPage) : std::nullopt;
    events_.damage({.backup = content_.manifest().label,
                    .path = std::string(ImagePathOf(file_.name)),
                    .block = block,
                    .problem = what});
  }

  void CheckStored() {
    if (!file_.stored_checksum) return;
    const StoredRange range = content_.RangeOf(file_);
    const auto source = content_.files().Source(range);
    codec::Sha1 hash;
    std::vector<std::byte> step(kReadStep);
    while (true) {
      const auto count = source->Read(step);
      if (!count) return Report(std::nullopt, count.error().message());
      hash.Update(ByteView(step).first(*count));
      if (*count < step.size()) break;
    }
    if (hash.Finish() == *file_.stored_checksum) return;
    Report(std::nullopt, "what " + Quoted(range.path) + " holds of it from byte " + std::to_string(range.offset) +
                             " on has not the SHA-1 that backup.manifest says");
  }

  // Every block that cannot be read; the whole where all can.
  void CheckBlocks() {
    const auto map = content_.MapOf(file_);
    if (!map) return Report(std::nullopt, map.error().message());
    codec::Sha1 hash;
    std::vector<std::byte> block((*map)->block_size);
    const uint64_t before = damages_;
    for (uint64_t number = 0; number < (*map)->blocks.size(); ++number) {
      const uint64_t offset = number * (*map)->block_size;
      const MutableBytes bytes = MutableBytes(block).first(std::min<uint64_t>(block.size(), file_.size - offset));
      const auto read = content_.ReadBlock(file_, **map, number, bytes);
      if (!read) Report(offset, read.error().message());
      hash.Update(bytes);
    }
    if (damages_ != before || !file_.checksum || hash.Finish() == *file_.checksum) return;
    Report(std::nullopt, "its SHA-1 is not the one in backup.manifest");
  }

  void CheckStream() {
    const auto source = content_.Decode(file_);
    if (!source) return Report(std::nullopt, source.error().message());
    std::vector<std::byte> step(kReadStep);
    uint64_t offset = 0;
    while (true) {
      const auto count = (*source)->Read(step);
      if (!count) {
        // The checksum of the whole shows at the end: that says nothing of the last block.
        const bool whole = offset >= file_.size || content_.HasRandomAccess(file_);
        return Report(whole ? std::nullopt : std::optional(offset), count.error().message());
      }
      offset += *count;
      if (*count < step.size()) return;
    }
  }

  const StoredContent& content_;
  const ManifestFile& file_;
  const VerifyEvents& events_;
  uint64_t damages_ = 0;
};

}  // namespace

Result<Verified> VerifyBackup(const BackupImage& image, const VerifyEvents& events) {
  Verified result;
  for (const auto& file : image.manifest().files) {
    if (file.size != 0) result.damages += FileCheck(image.content(), file, events).Run();
    ++result.files;
    result.bytes += file.size;
    if (events.done) PGS_TRY(events.done(ImagePathOf(file.name)));
  }
  return result;
}

}  // namespace pgstrata::pgbackrest
