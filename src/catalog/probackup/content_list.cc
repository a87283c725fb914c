// Values are in quotes and nothing in them is escaped: no JSON parser reads every path rightly. A path may hold quotes
// and line feeds; it ends where the next key, which is always "size", begins.
#include "catalog/probackup/content_list.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <limits>

#include "foundation/base/text.h"

namespace pgstrata::probackup {
namespace {

constexpr std::string_view kPathKey = "path";
constexpr std::string_view kEndOfPath = "\", \"size\":\"";
constexpr uint64_t kLargestSize = std::numeric_limits<int64_t>::max();

// Also where it was written as a number without a sign.
bool MeansMinusOne(std::string_view value) { return value == "-1" || value == "18446744073709551615"; }

// Relative, without a component that leads elsewhere.
bool StaysInside(std::string_view path) {
  if (path.empty() || path.contains('\0')) return false;
  return std::ranges::none_of(Split(path, '/'),
                              [](std::string_view part) { return part.empty() || part == "." || part == ".."; });
}

PageCompression ParseCompression(std::string_view name) {
  if (name == "none" || name.empty()) return PageCompression::kNone;
  if (name == "zlib") return PageCompression::kZlib;
  if (name == "pglz") return PageCompression::kPglz;
  return PageCompression::kUnknown;
}

struct Pair {
  std::string_view key;
  std::string_view value;
};

// One entry after the other: {"path":"base/1/1247", "size":"98416", ...}\n
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  [[nodiscard]] bool AtEnd() const { return rest_.empty(); }
  bool Skip(std::string_view token) {
    if (!rest_.starts_with(token)) return false;
    rest_.remove_prefix(token.size());
    return true;
  }
  void SkipBlanks() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t"), rest_.size())); }
  void SkipEmptyLines() { rest_.remove_prefix(std::min(rest_.find_first_not_of("\r\n"), rest_.size())); }

  // "key":"value"
  std::optional<Pair> NextPair() {
    Pair pair;
    if (!Skip("\"")) return std::nullopt;
    size_t end = rest_.find('"');
    if (end == std::string_view::npos) return std::nullopt;
    pair.key = Take(end);
    if (!Skip("\"")) return std::nullopt;
    SkipBlanks();
    if (!Skip(":")) return std::nullopt;
    SkipBlanks();
    if (!Skip("\"")) return std::nullopt;
    end = pair.key == kPathKey ? EndOfPath() : rest_.find('"');
    if (end == std::string_view::npos) return std::nullopt;
    pair.value = Take(end);
    Skip("\"");
    return pair;
  }

 private:
  // A path that is not followed by "size" (no version writes it so) ends at its first quote.
  [[nodiscard]] size_t EndOfPath() const {
    const size_t quote = rest_.find('"');
    if (quote == std::string_view::npos || rest_.substr(quote).starts_with(kEndOfPath)) return quote;
    const size_t marked = rest_.find(kEndOfPath, quote);
    const size_t next_entry = rest_.find("\n{\"path\":\"", quote);
    return marked != std::string_view::npos && marked < next_entry ? marked : quote;
  }
  std::string_view Take(size_t count) {
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }

  std::string_view rest_;
};

// What the pairs of one line say, before it is known to be sound.
class EntryBuilder {
 public:
  void Set(const Pair& pair) {
    if (pair.key == kPathKey) {
      entry_.path = pair.value;
    } else if (pair.key == "compress_alg") {
      entry_.compression = ParseCompression(pair.value);
    } else if (pair.key == "size") {
      has_size_ = true;
      if (!MeansMinusOne(pair.value)) entry_.size = Number(pair, kLargestSize);
    } else if (pair.key == "full_size") {
      if (!MeansMinusOne(pair.value)) entry_.full_size = Number(pair, kLargestSize);
    } else if (pair.key == "n_blocks") {
      if (pair.value != "-1") entry_.blocks = Number32(pair);
    } else if (pair.key == "is_datafile") {
      entry_.is_datafile = Number(pair, 1) != 0;
    } else if (pair.key == "is_cfs") {
      entry_.is_cfs = Number(pair, 1) != 0;
    } else {
      SetNumber(pair);
    }
  }

  std::optional<ContentEntry> Finish() {
    const bool directory_or_file = entry_.IsDirectory() || entry_.IsRegular() || S_ISLNK(entry_.mode);
    if (!sound_ || !has_size_ || !directory_or_file || !StaysInside(entry_.path)) return std::nullopt;
    if (map_.entries != 0) entry_.header_map = map_;
    return std::move(entry_);
  }

 private:
  void SetNumber(const Pair& pair) {
    if (pair.key == "mode") entry_.mode = Number32(pair);
    if (pair.key == "external_dir_num") entry_.external = Number32(pair);
    if (pair.key == "crc") entry_.crc = Number32(pair);
    if (pair.key == "segno") entry_.segment = Number32(pair);
    if (pair.key == "hdr_off") map_.offset = Number(pair, kLargestSize);
    if (pair.key == "hdr_size") map_.size = Number32(pair);
    if (pair.key == "hdr_crc") map_.crc = Number32(pair);
    if (pair.key == "n_headers" && pair.value != "-1") map_.entries = Number32(pair);
  }
  uint64_t Number(const Pair& pair, uint64_t largest) {
    const auto number = ParseDecimal(pair.value);
    sound_ = sound_ && number && *number <= largest;
    return number.value_or(0);
  }
  uint32_t Number32(const Pair& pair) {
    return static_cast<uint32_t>(Number(pair, std::numeric_limits<uint32_t>::max()) & 0xFFFFFFFFU);
  }

  ContentEntry entry_;
  HeaderMapPlace map_;
  bool has_size_ = false;
  bool sound_ = true;
};

std::optional<ContentEntry> ParseEntry(Scanner& scanner) {
  if (!scanner.Skip("{")) return std::nullopt;
  EntryBuilder builder;
  while (true) {
    scanner.SkipBlanks();
    const auto pair = scanner.NextPair();
    if (!pair) return std::nullopt;
    builder.Set(*pair);
    scanner.SkipBlanks();
    if (scanner.Skip("}")) break;
    if (!scanner.Skip(",")) return std::nullopt;
  }
  return builder.Finish();
}

}  // namespace

bool ContentEntry::IsDirectory() const { return S_ISDIR(mode); }
bool ContentEntry::IsRegular() const { return S_ISREG(mode); }

Status ParseContentList(std::string_view text, const std::function<Status(ContentEntry&&)>& visit) {
  Scanner scanner(text);
  for (uint64_t number = 1; scanner.SkipEmptyLines(), !scanner.AtEnd(); ++number) {
    auto entry = ParseEntry(scanner);
    if (!entry) {
      return Fail(ErrorCode::kCorrupt, fmt::format("entry {} of backup_content.control is damaged", number));
    }
    PGS_TRY(visit(*std::move(entry)));
  }
  return {};
}

}  // namespace pgstrata::probackup
