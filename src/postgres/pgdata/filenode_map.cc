#include "postgres/pgdata/filenode_map.h"

#include <fmt/format.h>

#include "postgres/pgdata/crc32c.h"

namespace pgstrata::pgdata {
namespace {

constexpr uint32_t kMagic = 0x592717;
constexpr size_t kHeaderSize = 8;
constexpr size_t kEntrySize = 8;
constexpr size_t kChecksumSize = 4;

struct Form {
  size_t file_size;
  uint32_t capacity;
};
constexpr Form kForms[] = {
    {512, 62},  // 14 and 15: padded to a disk sector
    {524, 64},
};

std::unexpected<Error> DamagedMap(std::string_view why) {
  return Fail(ErrorCode::kCorrupt, fmt::format("\"pg_filenode.map\" is damaged: {}", why));
}

Result<std::map<Oid, uint32_t>> ParseForm(ByteView bytes, const Form& form) {
  const size_t checksum_offset = kHeaderSize + form.capacity * kEntrySize;
  static_assert(kHeaderSize + 62 * kEntrySize + kChecksumSize <= 512);
  if (LoadLe<uint32_t>(bytes, 0) != kMagic) return DamagedMap("its magic number is wrong");
  if (Crc32c(bytes.first(checksum_offset)) != LoadLe<uint32_t>(bytes, checksum_offset)) {
    return DamagedMap("its checksum does not match");
  }
  const auto count = LoadLe<uint32_t>(bytes, 4);
  if (count > form.capacity) return DamagedMap(fmt::format("it claims {} entries", count));
  std::map<Oid, uint32_t> filenodes;
  for (size_t i = 0; i < count; ++i) {
    const size_t position = kHeaderSize + i * kEntrySize;
    filenodes[{LoadLe<uint32_t>(bytes, position)}] = LoadLe<uint32_t>(bytes, position + 4);
  }
  return filenodes;
}

}  // namespace

Result<std::map<Oid, uint32_t>> ParseFilenodeMap(ByteView bytes) {
  for (const Form& form : kForms) {
    if (bytes.size() == form.file_size) return ParseForm(bytes, form);
  }
  return DamagedMap(fmt::format("it has {} bytes", bytes.size()));
}

}  // namespace pgstrata::pgdata
