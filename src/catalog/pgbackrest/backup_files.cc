#include "catalog/pgbackrest/backup_files.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include "foundation/base/text.h"
#include "postgres/pgdata/page.h"

namespace pgstrata::pgbackrest {
namespace {

constexpr uint64_t kPage = pgdata::kPageSize;

class BackupFile : public image::ImageFile {
 public:
  BackupFile(std::shared_ptr<const StoredContent> content, const ManifestFile& file)
      : content_(std::move(content)), file_(file) {}

  [[nodiscard]] uint64_t size() const override { return file_.size; }

 protected:
  [[nodiscard]] const StoredContent& content() const { return *content_; }
  [[nodiscard]] const ManifestFile& file() const { return file_; }
  [[nodiscard]] std::unexpected<Error> Failed(Error error, uint64_t offset) const {
    return Fail(InFile(std::move(error), content_->manifest(), file_, offset));
  }
  [[nodiscard]] Status CheckRange(uint64_t offset, MutableBytes out) const {
    if (offset <= file_.size && file_.size - offset >= out.size()) return {};
    return Failed(Error(ErrorCode::kIo, "read beyond the end of " + std::to_string(file_.size) + " bytes"), offset);
  }

 private:
  const std::shared_ptr<const StoredContent> content_;
  const ManifestFile& file_;
};

class BlockFile final : public BackupFile {
 public:
  using BackupFile::BackupFile;

  Status ReadAt(uint64_t offset, MutableBytes out) const override {
    PGS_TRY(CheckRange(offset, out));
    if (out.empty()) return {};
    const auto map = content().MapOf(file());
    if (!map) return Failed(map.error(), offset);
    const uint64_t block_size = (*map)->block_size;
    std::vector<std::byte> block;
    while (!out.empty()) {
      const uint64_t number = offset / block_size;
      const uint64_t begin = number * block_size;
      const uint64_t length = std::min(block_size, size() - begin);
      const size_t count = std::min<uint64_t>(out.size(), begin + length - offset);
      Status read;
      if (count == length) {
        read = content().ReadBlock(file(), **map, number, out.first(count));
      } else {
        block.resize(length);
        read = content().ReadBlock(file(), **map, number, block);
        if (read) std::memcpy(out.data(), block.data() + (offset - begin), count);
      }
      if (!read) return Failed(std::move(read).error(), offset);
      out = out.subspan(count);
      offset += count;
    }
    return {};
  }
};

class PlainFile final : public BackupFile {
 public:
  using BackupFile::BackupFile;

  Status ReadAt(uint64_t offset, MutableBytes out) const override {
    PGS_TRY(CheckRange(offset, out));
    if (out.empty()) return {};
    const StoredRange range = content().RangeOf(file());
    const auto stored = file().bundle != 0 ? Result<uint64_t>(range.size) : content().files().SizeOf(range.path);
    if (!stored) return Failed(stored.error(), offset);
    if (*stored != size()) {
      return Failed(Error(ErrorCode::kCorrupt, Quoted(range.path) + " has " + std::to_string(*stored) +
                                                   " bytes of it, not " + std::to_string(size())),
                    offset);
    }
    auto read = content().files().Read(range.path, range.offset + offset, out);
    return read ? Status() : Failed(std::move(read).error(), offset);
  }
};

class SmallFile final : public BackupFile {
 public:
  SmallFile(std::shared_ptr<const StoredContent> content, std::shared_ptr<LruCache<std::vector<std::byte>>> recent,
            const ManifestFile& file)
      : BackupFile(std::move(content), file), recent_(std::move(recent)) {}

  Status ReadAt(uint64_t offset, MutableBytes out) const override {
    PGS_TRY(CheckRange(offset, out));
    if (out.empty()) return {};
    const auto decode = [this]() -> Result<std::vector<std::byte>> {
      PGS_ASSIGN(const auto source, content().Decode(file()));
      return codec::ReadAll(*source, size());
    };
    auto bytes = recent_->Get(file().name, decode, [](const std::vector<std::byte>& held) { return held.size(); });
    if (!bytes) {
      return Failed(std::move(bytes).error().Wrap(Quoted(content().RangeOf(file()).path)), offset);
    }
    std::memcpy(out.data(), (*bytes)->data() + offset, out.size());
    return {};
  }

 private:
  const std::shared_ptr<LruCache<std::vector<std::byte>>> recent_;
};

// The number of the file's first block in its fork: "16384.2" is the third segment. Of another size than this, pages
// seem to be wrong, and are answered late.
uint64_t FirstBlockOf(std::string_view name) {
  constexpr uint64_t kBlocksOfSegment = 131'072;
  const std::string_view last = SplitLast(name).second;
  const size_t dot = last.find('.');
  const auto segment = dot == std::string_view::npos ? std::optional<uint64_t>(0) : ParseDecimal(last.substr(dot + 1));
  return std::min<uint64_t>(segment.value_or(0), UINT32_MAX / kBlocksOfSegment) * kBlocksOfSegment;
}

class StreamFile final : public BackupFile {
 public:
  StreamFile(std::shared_ptr<const StoredContent> content, const ManifestFile& file,
             std::shared_ptr<image::DecodedCache> cache, image::DecodedContent decoded)
      : BackupFile(std::move(content), file), cache_(std::move(cache)), decoded_(std::move(decoded)) {}

  Status ReadAt(uint64_t offset, MutableBytes out) const override {
    PGS_TRY(CheckRange(offset, out));
    auto read = cache_->ReadAt(decoded_, offset, out);
    if (read && !IsKnownToBeRight() && !HasSoundPages(offset, out)) {
      std::array<std::byte, 1> last{};
      read = cache_->ReadAt(decoded_, size() - 1, last);
      if (read) is_right_ = true;
    }
    return read ? Status() : Failed(std::move(read).error(), offset);
  }

 private:
  [[nodiscard]] bool IsKnownToBeRight() const {
    if (!is_right_ && cache_->Holds(decoded_.key)) is_right_ = true;
    return is_right_;
  }
  [[nodiscard]] bool HasSoundPages(uint64_t offset, ByteView bytes) const {
    if (!file().checksum_page) return true;
    const uint64_t skipped = (kPage - offset % kPage) % kPage;
    uint64_t block = FirstBlockOf(file().name) + (offset + skipped) / kPage;
    for (uint64_t at = skipped; at + kPage <= bytes.size(); at += kPage, ++block) {
      if (!pgdata::VerifyPage(bytes.subspan(at, kPage), {static_cast<uint32_t>(block)}, true)) return false;
    }
    return true;
  }

  const std::shared_ptr<image::DecodedCache> cache_;
  const image::DecodedContent decoded_;
  mutable std::atomic<bool> is_right_ = false;
};

}  // namespace

Error InFile(Error error, const Manifest& manifest, const ManifestFile& file, uint64_t offset) {
  return std::move(error).Wrap("backup " + manifest.label + ", " + Quoted(ImagePathOf(file.name)) + ", block " +
                               std::to_string(offset / kPage));
}

std::unique_ptr<image::ImageFile> MakeBlockFile(std::shared_ptr<const StoredContent> content,
                                                const ManifestFile& file) {
  return std::make_unique<BlockFile>(std::move(content), file);
}

std::unique_ptr<image::ImageFile> MakePlainFile(std::shared_ptr<const StoredContent> content,
                                                const ManifestFile& file) {
  return std::make_unique<PlainFile>(std::move(content), file);
}

std::unique_ptr<image::ImageFile> MakeSmallFile(std::shared_ptr<const StoredContent> content,
                                                std::shared_ptr<LruCache<std::vector<std::byte>>> recent,
                                                const ManifestFile& file) {
  return std::make_unique<SmallFile>(std::move(content), std::move(recent), file);
}

std::unique_ptr<image::ImageFile> MakeStreamFile(std::shared_ptr<const StoredContent> content, const ManifestFile& file,
                                                 std::shared_ptr<image::DecodedCache> cache, std::string cache_key) {
  image::DecodedContent decoded{.key = std::move(cache_key),
                                .name = Quoted(content->RangeOf(file).path),
                                .size = file.size,
                                .open = [content, &file] { return content->Decode(file); }};
  return std::make_unique<StreamFile>(std::move(content), file, std::move(cache), std::move(decoded));
}

}  // namespace pgstrata::pgbackrest
