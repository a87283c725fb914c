#include "catalog/probackup/layer_index.h"

#include <fmt/format.h>

#include <vector>

#include "foundation/codec/zlib_block.h"
#include "postgres/pgdata/crc32c.h"

namespace pgstrata::probackup {
namespace {

// zlib makes nothing much larger than it was.
constexpr uint64_t kLargestMap = uint64_t{kBlocksOfSegment + 1} * kHeaderMapEntryBytes;

}  // namespace

Result<PageIndex> IndexFromHeaderMap(const image::NativeFile& map, const HeaderMapPlace& place, uint64_t stream_size) {
  const auto damaged = [](std::string reason) { return Fail(ErrorCode::kCorrupt, std::move(reason)); };
  if (place.entries == 0 || place.entries > kBlocksOfSegment || place.size > 2 * kLargestMap) {
    return damaged(fmt::format("a page header map of {} pages in {} bytes cannot be", place.entries, place.size));
  }
  if (place.offset > map.size() || map.size() - place.offset < place.size) {
    return damaged(fmt::format("the page header map ends before byte {}", place.offset + place.size));
  }
  std::vector<std::byte> packed(place.size);
  PGS_TRY(map.ReadAt(place.offset, packed));
  std::vector<std::byte> entries((uint64_t{place.entries} + 1) * kHeaderMapEntryBytes);
  PGS_TRY(codec::DecompressZlibBlock(packed, entries));
  const uint32_t crc = pgdata::Crc32c(entries);
  if (crc != place.crc) {
    return damaged(fmt::format("the checksum of the page header map is {} and should be {}", crc, place.crc));
  }
  return PageIndex::FromHeaderMap(entries, stream_size);
}

Result<WalkedStream> IndexFromStream(const image::NativeFile& stream, const StoredCopy& copy,
                                     const ProgramVersion& version) {
  const bool old = version < kHeaderMapVersion;
  PGS_ASSIGN(
      PageIndex pages,
      PageIndex::FromStream({.size = copy.size, .padded = old, .read = [&stream](uint64_t offset, MutableBytes out) {
                               return stream.ReadAt(offset, out);
                             }}));
  const auto& crc = pages.stream_crc();
  // Old versions left the headers out of the checksum in some ways of making a backup.
  bool suspect = !crc || (crc->all != copy.crc && !(old && crc->payloads == copy.crc));
  if (copy.header_map.entries != 0 && copy.header_map.entries != pages.pages()) suspect = true;
  return WalkedStream{.pages = std::move(pages), .suspect = suspect};
}

}  // namespace pgstrata::probackup
