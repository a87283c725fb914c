// The bytes of a backup's files as they were in the cluster: where they are stored, with encryption and compression
// taken off and every checksum of the format compared.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "catalog/pgbackrest/block_map.h"
#include "catalog/pgbackrest/manifest.h"
#include "catalog/pgbackrest/stored_files.h"
#include "foundation/base/bytes.h"
#include "foundation/base/error.h"
#include "foundation/base/lru_cache.h"
#include "foundation/codec/byte_source.h"

namespace pgstrata::pgbackrest {

// Safe from several threads at once. Owned by shared_ptr: what Decode gives shares it.
class StoredContent : public std::enable_shared_from_this<StoredContent> {
 public:
  // `stanza` names the directories of the repository.
  StoredContent(Manifest manifest, std::string root, std::string stanza);

  // Where the bytes of `file` (not empty) are.
  [[nodiscard]] StoredRange RangeOf(const ManifestFile& file) const;
  // Whether any part of `file` can be read without the rest.
  [[nodiscard]] bool HasRandomAccess(const ManifestFile& file) const;

  // All of a file that is one stream. Its last Read is kCorrupt where the content is not what the manifest says.
  Result<std::unique_ptr<codec::ByteSource>> Decode(const ManifestFile& file) const;
  // The same, and nothing is compared: for those who want what can be had of a damaged one and look at it themselves.
  Result<std::unique_ptr<codec::ByteSource>> Unpack(const ManifestFile& file) const;

  // Of a block incremental file.
  Result<std::shared_ptr<const BlockMap>> MapOf(const ManifestFile& file) const;
  // Fills `out`, all of the block `number` of the file. kCorrupt where its checksum is another. Of a damaged super
  // block those blocks are read whose checksums are right.
  Status ReadBlock(const ManifestFile& file, const BlockMap& map, uint64_t number, MutableBytes out) const;
  // The stored file that holds the block: for messages.
  [[nodiscard]] std::string PlaceOf(const ManifestFile& file, const BlockMap& map, uint64_t number) const;

  // The stored files of the backup and of those that it stands on (Image::VisitParts), their manifests among them.
  Status VisitParts(const image::PartVisitor& visit) const;

  [[nodiscard]] const Manifest& manifest() const { return manifest_; }
  [[nodiscard]] const StoredFiles& files() const { return files_; }

 private:
  using Bytes = std::vector<std::byte>;

  [[nodiscard]] std::string DirectoryOf(uint32_t holder) const;
  [[nodiscard]] std::string PathOf(const ManifestFile& file, uint32_t holder, uint64_t bundle) const;
  Result<BlockMap> ReadMap(const ManifestFile& file) const;
  // What a super block holds, as far as it unpacks.
  struct UnpackedBlocks {
    Bytes bytes;
    std::optional<Error> error;  // why there is no more of it
  };
  Result<std::shared_ptr<const UnpackedBlocks>> Unpacked(const ManifestFile& file, const SuperBlock& super_block) const;
  Result<Bytes> UnpackWhole(const StoredRange& range, uint64_t size) const;
  Result<UnpackedBlocks> UnpackPartly(const StoredRange& range, uint64_t size) const;

  const Manifest manifest_;
  const std::string stanza_;
  const StoredFiles files_;
  mutable LruCache<BlockMap> maps_;
  mutable LruCache<UnpackedBlocks> super_blocks_;
};

// "base/5/16384" of "pg_data/base/5/16384": the path in the image. Tablespaces keep theirs.
std::string_view ImagePathOf(std::string_view name);

}  // namespace pgstrata::pgbackrest
