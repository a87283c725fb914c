#include "backup/image/tar_header.h"

#include <algorithm>
#include <limits>

#include "foundation/base/text.h"

namespace pgstrata::image {
namespace {

struct Field {
  size_t offset;
  size_t size;
};
constexpr Field kName{0, 100};
constexpr Field kMode{100, 8};
constexpr Field kUid{108, 8};
constexpr Field kGid{116, 8};
constexpr Field kSize{124, 12};
constexpr Field kModified{136, 12};
constexpr Field kChecksum{148, 8};
constexpr size_t kTypeOffset = 156;
constexpr Field kLinkTarget{157, 100};
constexpr Field kMagic{257, 6};
constexpr Field kPrefix{345, 155};
constexpr std::string_view kPosixMagic("ustar\0", 6);  // GNU's is "ustar " and has no prefix

constexpr int64_t kNanosecondsPerSecond = 1'000'000'000;
constexpr int64_t kLargestSeconds = std::numeric_limits<int64_t>::max() / kNanosecondsPerSecond;

std::unexpected<Error> Corrupt(std::string why) { return Fail(ErrorCode::kCorrupt, std::move(why)); }

std::string_view Bytes(ByteView block, Field field) { return AsText(block.subspan(field.offset, field.size)); }

// Up to the first NUL.
std::string_view Text(ByteView block, Field field) {
  const std::string_view bytes = Bytes(block, field);
  return bytes.substr(0, std::min(bytes.find('\0'), bytes.size()));
}

// GNU's form of numbers that octal digits have no room for: two's complement, the highest bit of the first byte set.
std::optional<int64_t> ParseBinary(std::string_view bytes) {
  const auto first = static_cast<uint8_t>(bytes[0]);
  const bool negative = (first & 0x40U) != 0;
  const uint8_t fill = negative ? 0xFF : 0;
  uint64_t value = negative ? ~uint64_t{0} : 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    auto byte = static_cast<uint8_t>(bytes[i]);
    if (i == 0) byte = negative ? byte : byte & 0x7FU;
    if (i + sizeof value < bytes.size()) {
      if (byte != fill) return std::nullopt;
      continue;
    }
    value = value << 8 | byte;
  }
  const auto result = static_cast<int64_t>(value);
  if ((result < 0) != negative) return std::nullopt;
  return result;
}

std::optional<int64_t> ParseNumber(std::string_view bytes) {
  if ((static_cast<uint8_t>(bytes[0]) & 0x80U) != 0) return ParseBinary(bytes);
  const size_t begin = std::min(bytes.find_first_not_of(' '), bytes.size());
  std::string_view digits = bytes.substr(begin);
  digits = digits.substr(0, std::min(digits.find_first_of(std::string_view(" \0", 2)), digits.size()));
  int64_t value = 0;
  for (const char c : digits) {
    if (c < '0' || c > '7') return std::nullopt;
    value = value * 8 + (c - '0');  // 12 digits at most
  }
  return value;
}

Result<uint64_t> Number(ByteView block, Field field, const char* what, uint64_t limit) {
  const auto number = ParseNumber(Bytes(block, field));
  if (!number || *number < 0 || static_cast<uint64_t>(*number) > limit) {
    return Corrupt(std::string("the ") + what + " in a header is no such number");
  }
  return static_cast<uint64_t>(*number);
}

// The sum of all bytes, the checksum's own taken as blanks. Old programs added signed bytes.
bool ChecksumMatches(ByteView block) {
  const auto expected = ParseNumber(Bytes(block, kChecksum));
  int64_t sum = 0;
  int64_t signed_sum = 0;
  for (size_t i = 0; i < kTarBlock; ++i) {
    const bool own = i >= kChecksum.offset && i < kChecksum.offset + kChecksum.size;
    const auto byte = own ? uint8_t{' '} : static_cast<uint8_t>(block[i]);
    sum += byte;
    signed_sum += static_cast<int8_t>(byte);
  }
  return expected && (*expected == sum || *expected == signed_sum);
}

Result<TarType> ParseType(char type) {
  switch (type) {
    case '0':
    case '\0':
    case '7':  // contiguous: a file like others
      return TarType::kFile;
    case '1':
      return TarType::kHardLink;
    case '2':
      return TarType::kLink;
    case '5':
      return TarType::kDirectory;
    case 'L':
      return TarType::kLongName;
    case 'K':
      return TarType::kLongLinkTarget;
    case 'x':
    case 'X':
      return TarType::kPaxRecords;
    case 'g':
      return TarType::kPaxGlobals;
    case '3':
    case '4':
    case '6':
    case 'V':
      return TarType::kOther;
    case 'S':
      return Fail(Error(ErrorCode::kUnsupported, "it holds sparse files").WithHint("make it without tar's --sparse"));
    case 'M':
      return Fail(ErrorCode::kUnsupported, "it is a part of an archive of several volumes");
    default:
      return Fail(ErrorCode::kUnsupported,
                  "it holds a member of the unknown type " + std::to_string(static_cast<uint8_t>(type)));
  }
}

// "1732136739.25".
std::optional<Timestamp> ParsePaxTime(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  const auto seconds = ParseDecimal(text.substr(0, text.find('.')));
  if (!seconds || *seconds >= static_cast<uint64_t>(kLargestSeconds)) return std::nullopt;
  int64_t nanoseconds = static_cast<int64_t>(*seconds) * kNanosecondsPerSecond;
  if (const size_t dot = text.find('.'); dot != std::string_view::npos) {
    constexpr size_t kDigits = 9;
    std::string fraction(text.substr(dot + 1, kDigits));
    fraction.resize(kDigits, '0');
    const auto value = ParseDecimal(fraction);
    if (!value) return std::nullopt;
    nanoseconds += static_cast<int64_t>(*value);
  }
  return Timestamp{negative ? -nanoseconds : nanoseconds};
}

std::optional<uint32_t> ParseId(std::string_view text) {
  const auto id = ParseDecimal(text);
  if (!id || *id > std::numeric_limits<uint32_t>::max()) return std::nullopt;
  return static_cast<uint32_t>(*id);
}

// False where the value does not parse.
Result<bool> ApplyRecord(std::string_view key, std::string_view value, TarOverrides& overrides) {
  if (key.starts_with("GNU.sparse")) {
    return Fail(Error(ErrorCode::kUnsupported, "it holds sparse files").WithHint("make it without tar's --sparse"));
  }
  if (key == "path") {
    overrides.path = value;
  } else if (key == "linkpath") {
    overrides.link_target = value;
  } else if (key == "size") {
    overrides.size = ParseDecimal(value);
    return overrides.size.has_value();
  } else if (key == "uid") {
    overrides.uid = ParseId(value);
    return overrides.uid.has_value();
  } else if (key == "gid") {
    overrides.gid = ParseId(value);
    return overrides.gid.has_value();
  } else if (key == "mtime") {
    overrides.modified = ParsePaxTime(value);
    return overrides.modified.has_value();
  }
  return true;
}

}  // namespace

bool IsZeroBlock(ByteView block) {
  return std::ranges::all_of(block, [](std::byte byte) { return byte == std::byte{0}; });
}

Result<TarHeader> ParseTarHeader(ByteView block) {
  if (block.size() != kTarBlock) return Corrupt("a header is cut short");
  if (!ChecksumMatches(block)) return Corrupt("the checksum of a header does not match");
  constexpr uint64_t kAnyId = std::numeric_limits<uint32_t>::max();
  constexpr uint64_t kAnySize = std::numeric_limits<int64_t>::max() - kTarBlock;
  TarHeader header;
  PGS_ASSIGN(header.type, ParseType(static_cast<char>(block[kTypeOffset])));
  header.path = Text(block, kName);
  if (Bytes(block, kMagic) == kPosixMagic) header.path = JoinPath(Text(block, kPrefix), header.path);
  header.link_target = Text(block, kLinkTarget);
  PGS_ASSIGN(const uint64_t mode, Number(block, kMode, "mode", kAnyId));
  header.mode = static_cast<uint32_t>(mode) & 07777U;
  PGS_ASSIGN(const uint64_t uid, Number(block, kUid, "owner", kAnyId));
  PGS_ASSIGN(const uint64_t gid, Number(block, kGid, "group", kAnyId));
  header.uid = static_cast<uint32_t>(uid);
  header.gid = static_cast<uint32_t>(gid);
  PGS_ASSIGN(header.size, Number(block, kSize, "size", kAnySize));
  const auto seconds = ParseNumber(Bytes(block, kModified));
  if (!seconds || *seconds >= kLargestSeconds || *seconds <= -kLargestSeconds) {
    return Corrupt("the time in a header is no such number");
  }
  header.modified.unix_ns = *seconds * kNanosecondsPerSecond;
  return header;
}

void TarOverrides::ApplyTo(TarHeader& header) const {
  if (path) header.path = *path;
  if (link_target) header.link_target = *link_target;
  if (size) header.size = *size;
  if (uid) header.uid = *uid;
  if (gid) header.gid = *gid;
  if (modified) header.modified = *modified;
}

Status ParsePaxRecords(ByteView records, TarOverrides& overrides) {
  std::string_view left = AsText(records);
  while (!left.empty()) {
    const size_t blank = left.find(' ');
    const auto length = ParseDecimal(left.substr(0, blank));
    if (blank == std::string_view::npos || !length || *length <= blank + 1 || *length > left.size() ||
        left[*length - 1] != '\n') {
      return Corrupt("its pax records do not parse");
    }
    const std::string_view record = left.substr(blank + 1, *length - blank - 2);
    left.remove_prefix(*length);
    const size_t equals = record.find('=');
    if (equals == std::string_view::npos) return Corrupt("its pax records do not parse");
    const std::string_view key = record.substr(0, equals);
    PGS_ASSIGN(const bool parsed, ApplyRecord(key, record.substr(equals + 1), overrides));
    if (!parsed) return Corrupt("the pax record " + Quoted(key) + " does not parse");
  }
  return {};
}

Result<std::string> NormalizeTarPath(std::string_view path) {
  const auto refuse = [&](const char* why) {
    return Fail(
        Error(ErrorCode::kUnsupported, "it holds " + Quoted(path) + ", " + why)
            .WithHint("a backup's archive is made from inside the data directory: tar -C DIRECTORY -cf FILE ."));
  };
  if (path.starts_with('/')) return refuse("an absolute path");
  if (path.find('\0') != std::string_view::npos) return refuse("a path with a NUL in it");
  std::string normal;
  for (const std::string_view part : Split(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..") return refuse("a path that leaves the backup");
    normal = JoinPath(normal, part);
  }
  return normal;
}

}  // namespace pgstrata::image
