#include "backup/image/tar_part.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "backup/image/file_source.h"
#include "backup/image/native_file.h"
#include "foundation/base/text.h"
#include "foundation/codec/decompress.h"
#include "foundation/io/directory.h"

namespace pgstrata::image {
namespace {

using codec::Compression;

struct Packed {
  std::string path;  // absolute, links resolved
  Fingerprint fingerprint;
  Compression compression = Compression::kNone;
};

Result<Packed> LookAt(const std::string& named) {
  Packed packed;
  PGS_ASSIGN(packed.path, io::ResolvePath(named));
  PGS_ASSIGN(const auto file, OpenNativeFile(packed.path));
  packed.fingerprint = file->fingerprint();
  std::array<std::byte, 4> head{};
  const size_t size = std::min<uint64_t>(head.size(), file->size());
  PGS_TRY(file->ReadAt(0, MutableBytes(head).first(size)));
  packed.compression = codec::CompressionByMagic(ByteView(head).first(size));
  if (packed.compression == Compression::kNone) packed.compression = codec::CompressionBySuffix(named).compression;
  return packed;
}

Result<std::unique_ptr<ImageFile>> OpenUnchanged(const std::string& path, const Fingerprint& first) {
  PGS_ASSIGN(auto file, OpenNativeFile(path));
  if (file->fingerprint() == first) return file;
  return Fail(
      Error(ErrorCode::kCorrupt, Quoted(path) + " changed while it was open")
          .WithHint("a backup must stay as it is while it is open; find out what writes to it, then open it again"));
}

TarPart PartOf(const Packed& packed, std::string place, bool is_archive) {
  return {.name = packed.path,
          .place = std::move(place),
          .is_archive = is_archive,
          .file = packed.fingerprint,
          .open = [path = packed.path, first = packed.fingerprint] { return OpenUnchanged(path, first); }};
}

DecodedContent ContentOf(const Packed& packed) {
  const Fingerprint& first = packed.fingerprint;
  return {.key = fmt::format("file {} {} {} {} {} {}", packed.path, first.device, first.inode, first.size,
                             first.modified_ns, first.changed_ns),
          .name = Quoted(packed.path),
          .size = {},
          .stored_size = first.size,
          .open = [packed]() -> Result<std::unique_ptr<codec::ByteSource>> {
            PGS_ASSIGN(auto file, OpenUnchanged(packed.path, packed.fingerprint));
            return codec::Decompressing(packed.compression, SourceOf(std::move(file)));
          }};
}

}  // namespace

Result<TarPart> MakeFilePart(const std::string& path, std::string place) {
  PGS_ASSIGN(const Packed file, LookAt(path));
  return PartOf(file, std::move(place), false);
}

Result<TarPart> MakeArchivePart(const std::string& path, std::string place,
                                const std::shared_ptr<DecodedCache>& cache) {
  PGS_ASSIGN(const Packed packed, LookAt(path));
  TarPart part = PartOf(packed, std::move(place), true);
  if (packed.compression == Compression::kNone) return part;
  if (!cache) {
    return Fail(Error(ErrorCode::kUnsupported, Quoted(path) + " is compressed, and has to be decoded before it is read")
                    .WithHint("name the backup itself, or with --chain; or decompress it beside itself, keeping the "
                              "name without its last suffix"));
  }
  part.packed_size = packed.fingerprint.size;
  DecodedContent content = ContentOf(packed);
  PGS_ASSIGN(content.size, cache->SizeOf(content));
  part.open = [cache, content = std::move(content)]() -> Result<std::unique_ptr<ImageFile>> {
    return MakeDecodedFile(cache, content);
  };
  return part;
}

}  // namespace pgstrata::image
