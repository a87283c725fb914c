// One backup of a repository as an Image. Opening it reads backup.manifest and nothing else. A file's block map is read
// when the file is first read, a file that is one stream is decoded then: a small one in memory, a large one into the
// cache.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "backup/image/decoded_cache.h"
#include "backup/image/first_touch.h"
#include "backup/image/image.h"
#include "catalog/pgbackrest/file_tree.h"
#include "catalog/pgbackrest/stored_content.h"
#include "foundation/base/lru_cache.h"

namespace pgstrata::pgbackrest {

class BackupImage final : public image::Image {
 public:
  // A stream that decodes to no more than this is decoded in memory, whole and checked before any of it is answered.
  static constexpr uint64_t kSmall = 1ULL << 20;

  // `name` is what the user knows it by. `cache` may be null: then every stream is decoded in memory, however large.
  static Result<std::unique_ptr<BackupImage>> Make(std::string name, std::shared_ptr<const StoredContent> content,
                                                   std::shared_ptr<image::DecodedCache> cache);

  [[nodiscard]] const std::string& name() const override { return name_; }
  Result<image::Entry> Stat(std::string_view path) const override;
  Result<std::vector<image::Entry>> List(std::string_view directory) const override;
  // The file lives no longer than the image.
  Result<std::unique_ptr<image::ImageFile>> Open(std::string_view path) const override;

  Status VisitParts(const image::PartVisitor& visit) const override { return content_->VisitParts(visit); }
  [[nodiscard]] image::FirstTouch CostOfFirstTouch() const override;
  // By as many threads as there are processors.
  Status DecodeAll(const image::DecodeProgress& progress) const override;
  [[nodiscard]] const Manifest& manifest() const { return content_->manifest(); }
  [[nodiscard]] const StoredContent& content() const { return *content_; }

 private:
  struct Ids {
    uint32_t uid = 0;
    uint32_t gid = 0;
  };
  using Small = LruCache<std::vector<std::byte>>;

  BackupImage(std::string name, std::shared_ptr<const StoredContent> content,
              std::shared_ptr<image::DecodedCache> cache, FileTree tree);

  [[nodiscard]] image::Entry Describe(const FileTree::Node& node) const;
  [[nodiscard]] Result<std::unique_ptr<image::ImageFile>> OpenStored(const ManifestFile& file) const;
  [[nodiscard]] bool IsDecodedInMemory(const ManifestFile& file) const;
  // Those that go into the cache when they are read.
  [[nodiscard]] std::vector<const ManifestFile*> Streams() const;
  Status DecodeWhole(const ManifestFile& file, const image::DecodeProgress& progress) const;
  [[nodiscard]] std::string CacheKeyOf(const ManifestFile& file) const;

  const std::string name_;
  const std::shared_ptr<const StoredContent> content_;
  const std::shared_ptr<image::DecodedCache> cache_;
  const FileTree tree_;
  std::vector<Ids> ids_;  // of Manifest::owners, on this machine
  const std::shared_ptr<Small> small_;
};

}  // namespace pgstrata::pgbackrest
