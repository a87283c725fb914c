#include "catalog/pgbackrest/backup_files.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include "backup/image/page_check.h"
#include "foundation/base/text.h"
#include "postgres/pgdata/page.h"

namespace pgstrata::pgbackrest {
namespace {

constexpr uint64_t kPage = pgdata::kPageSize;

class BackupFile : public image::ImageFile {
 public:
  BackupFile(std::shared_ptr<const StoredContent> content, const ManifestFile& file)
      : content_(std::move(content)),
        file_(file),
        first_in_fork_(image::FirstBlockOf(ImagePathOf(file.name)).value_or(0)) {}

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

  // Whether `page` (kPage bytes at `begin`) can be nothing but what was backed up. A page of zeros proves nothing.
  [[nodiscard]] bool IsProven(uint64_t begin, ByteView page) const {
    const uint64_t block = first_in_fork_ + begin / kPage;
    return page.size() == kPage && !pgdata::IsNew(page) &&
           pgdata::VerifyPage(page, {static_cast<uint32_t>(block)}, true).has_value();
  }

  // Fills `out` with pages that prove themselves. `read` fills a page from its beginning, or gives false. `error` is
  // what is said of the first page that cannot be had.
  template <typename Read>
  Status CopySoundPages(uint64_t offset, MutableBytes out, Error error, const Read& read) const {
    std::array<std::byte, kPage> page;
    while (!out.empty()) {
      const uint64_t skipped = offset % kPage;
      const uint64_t begin = offset - skipped;
      const MutableBytes whole = MutableBytes(page).first(std::min<uint64_t>(kPage, size() - begin));
      if (!read(begin, whole) || !IsProven(begin, whole)) return Failed(std::move(error), offset);
      const size_t count = std::min<uint64_t>(out.size(), whole.size() - skipped);
      std::memcpy(out.data(), whole.data() + skipped, count);
      out = out.subspan(count);
      offset += count;
    }
    return {};
  }

 private:
  const std::shared_ptr<const StoredContent> content_;
  const ManifestFile& file_;
  const uint64_t first_in_fork_;
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
    if (!bytes) return ReadSoundPages(std::move(bytes).error(), offset, out);
    std::memcpy(out.data(), (*bytes)->data() + offset, out.size());
    return {};
  }

 private:
  // Of a damaged stream, which failed with `error`: as far as it unpacks, pages prove themselves.
  Status ReadSoundPages(Error error, uint64_t offset, MutableBytes out) const {
    error = std::move(error).Wrap(Quoted(content().RangeOf(file()).path));
    if (error.code() != ErrorCode::kCorrupt || !file().checksum_page) return Failed(std::move(error), offset);
    const auto partly = recent_->Get(
        file().name + " damaged", [this] { return UnpackPartly(); },
        [](const std::vector<std::byte>& held) { return held.size() + 1; });
    if (!partly) return Failed(std::move(error), offset);
    return CopySoundPages(offset, out, std::move(error), [&](uint64_t begin, MutableBytes page) {
      if (begin + page.size() > (*partly)->size()) return false;
      std::memcpy(page.data(), (*partly)->data() + begin, page.size());
      return true;
    });
  }

  Result<std::vector<std::byte>> UnpackPartly() const {
    std::vector<std::byte> bytes;
    const auto source = content().Unpack(file());
    std::array<std::byte, kPage> step;
    while (source && bytes.size() < size()) {
      const auto count = (*source)->Read(step);
      if (!count) break;
      bytes.insert(bytes.end(), step.begin(), step.begin() + static_cast<ptrdiff_t>(*count));
      if (*count < step.size()) break;
    }
    return bytes;
  }

  const std::shared_ptr<LruCache<std::vector<std::byte>>> recent_;
};

class StreamFile final : public BackupFile {
 public:
  StreamFile(std::shared_ptr<const StoredContent> content, const ManifestFile& file,
             std::shared_ptr<image::DecodedCache> cache, image::DecodedContent decoded)
      : BackupFile(std::move(content), file), cache_(std::move(cache)), decoded_(std::move(decoded)) {}

  Status ReadAt(uint64_t offset, MutableBytes out) const override {
    PGS_TRY(CheckRange(offset, out));
    if (out.empty()) return {};
    if (!IsKnownToBeRight() && file().checksum_page && ReadProven(offset, out)) return {};
    std::array<std::byte, 1> last{};
    auto read = IsKnownToBeRight() ? Status() : cache_->ReadAt(decoded_, size() - 1, last);
    if (read) {
      read = cache_->ReadAt(decoded_, offset, out);
      return read ? Status() : Failed(std::move(read).error(), offset);
    }
    if (read.error().code() != ErrorCode::kCorrupt || !file().checksum_page) return Failed(read.error(), offset);
    return CopySoundPages(offset, out, read.error(), [this](uint64_t begin, MutableBytes page) {
      return cache_->ReadDamaged(decoded_, begin, page).has_value();
    });
  }

 private:
  // Asked each time: what was decoded whole may have made room for others since.
  [[nodiscard]] bool IsKnownToBeRight() const { return cache_->Holds(decoded_.key); }

  // Before all of it is decoded: whether `out` was filled with pages that prove themselves.
  [[nodiscard]] bool ReadProven(uint64_t offset, MutableBytes out) const {
    const uint64_t begin = offset - offset % kPage;
    const uint64_t end = std::min((offset + out.size() + kPage - 1) / kPage * kPage, size());
    const bool aligned = begin == offset && end == offset + out.size();
    std::vector<std::byte> around(aligned ? 0 : end - begin);
    const MutableBytes pages = aligned ? out : MutableBytes(around);
    if (!cache_->ReadAt(decoded_, begin, pages)) return false;
    for (size_t at = 0; at < pages.size(); at += kPage) {
      if (!IsProven(begin + at, pages.subspan(at, std::min<size_t>(kPage, pages.size() - at)))) return false;
    }
    if (!aligned) std::memcpy(out.data(), around.data() + (offset - begin), out.size());
    return true;
  }

  const std::shared_ptr<image::DecodedCache> cache_;
  const image::DecodedContent decoded_;
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
