// The files of a backup as ImageFiles, by how they are stored. Every error of theirs names backup, file and block.
// `file` is one of content->manifest().files; none of them is empty.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "backup/image/decoded_cache.h"
#include "backup/image/image.h"
#include "catalog/pgbackrest/stored_content.h"
#include "foundation/base/lru_cache.h"

namespace pgstrata::pgbackrest {

// Block incremental.
std::unique_ptr<image::ImageFile> MakeBlockFile(std::shared_ptr<const StoredContent> content, const ManifestFile& file);

// Neither compressed nor encrypted.
std::unique_ptr<image::ImageFile> MakePlainFile(std::shared_ptr<const StoredContent> content, const ManifestFile& file);

// One stream that is decoded in memory, whole, whenever `recent` has it no more.
std::unique_ptr<image::ImageFile> MakeSmallFile(std::shared_ptr<const StoredContent> content,
                                                std::shared_ptr<LruCache<std::vector<std::byte>>> recent,
                                                const ManifestFile& file);

// One stream that is decoded into the cache as far as it is read. Whether it is right shows at its end. Until then
// pages of a relation are answered where their own checksums are right, and else when all of it was decoded.
std::unique_ptr<image::ImageFile> MakeStreamFile(std::shared_ptr<const StoredContent> content, const ManifestFile& file,
                                                 std::shared_ptr<image::DecodedCache> cache, std::string cache_key);

// `error` of a read at `offset` of the file.
Error InFile(Error error, const Manifest& manifest, const ManifestFile& file, uint64_t offset);

}  // namespace pgstrata::pgbackrest
