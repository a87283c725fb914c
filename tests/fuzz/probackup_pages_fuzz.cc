// The first byte says how the rest is read: as a page header map, or as a stream. Every page of an index lies inside
// its stream.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "catalog/probackup/page_index.h"
#include "catalog/probackup/page_record.h"

namespace {

using namespace pgstrata;
using namespace pgstrata::probackup;

void CheckIndex(const PageIndex& index, uint64_t stream_size) {
  uint32_t pages = 0;
  uint64_t end = 0;
  for (uint32_t block = 0; block < index.end(); ++block) {
    if (!index.Has(block)) continue;
    ++pages;
    const PageIndex::Place place = index.PlaceOf(block);
    if (place.offset < end || place.size == 0 || place.size > kPageBytes) __builtin_trap();
    end = place.offset + kRecordHeaderBytes + place.size;
    if (end > stream_size) __builtin_trap();
  }
  if (pages != index.pages()) __builtin_trap();
}

void DecodePages(const PageIndex& index, ByteView stream) {
  std::vector<std::byte> page(kPageBytes);
  for (uint32_t block = 0; block < index.end(); ++block) {
    if (!index.Has(block)) continue;
    const PageIndex::Place place = index.PlaceOf(block);
    const ByteView record = stream.subspan(place.offset, kRecordHeaderBytes + place.size);
    for (const auto compression : {PageCompression::kNone, PageCompression::kPglz, PageCompression::kZlib}) {
      (void)DecodeRecord(record, place, compression, {.block = block, .in_fork = {block}}, page);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const ByteView rest(reinterpret_cast<const std::byte*>(data) + 1, size - 1);
  if (data[0] == 0) {
    const uint64_t stream_size =
        rest.size() < kHeaderMapEntryBytes ? 0 : LoadLe<uint32_t>(rest, rest.size() - kHeaderMapEntryBytes + 12);
    if (const auto index = PageIndex::FromHeaderMap(rest, stream_size)) CheckIndex(*index, stream_size);
    return 0;
  }
  const auto index = PageIndex::FromStream(
      {.size = rest.size(), .padded = data[0] == 2, .read = [rest](uint64_t offset, MutableBytes out) -> Status {
         if (offset + out.size() > rest.size()) __builtin_trap();
         std::memcpy(out.data(), rest.data() + offset, out.size());
         return {};
       }});
  if (!index) return 0;
  CheckIndex(*index, rest.size());
  DecodePages(*index, rest);
  return 0;
}
