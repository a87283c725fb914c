// The manifest is JSON that PostgreSQL writes with one object a line, and whose last line is the checksum of all lines
// before it. It is parsed event by event: a manifest of a million files never becomes a tree in memory.
#include "postgres/pgdata/backup_manifest.h"

#include <fmt/format.h>

#include <array>
#include <limits>
#include <map>
#include <utility>

#include "foundation/base/text.h"
#include "foundation/codec/json.h"
#include "foundation/codec/sha256.h"

namespace pgstrata::pgdata {
namespace {

constexpr size_t kSha256Size = 32;

struct Algorithm {
  std::string_view name;
  ManifestChecksum value;
  size_t digits;
};
constexpr std::array kAlgorithms = {
    Algorithm{"CRC32C", ManifestChecksum::kCrc32c, 8}, Algorithm{"SHA224", ManifestChecksum::kSha224, 56},
    Algorithm{"SHA256", ManifestChecksum::kSha256, 64}, Algorithm{"SHA384", ManifestChecksum::kSha384, 96},
    Algorithm{"SHA512", ManifestChecksum::kSha512, 128}};

std::optional<uint8_t> HexDigit(char c) {
  if (c >= '0' && c <= '9') return static_cast<uint8_t>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<uint8_t>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<uint8_t>(c - 'A' + 10);
  return std::nullopt;
}

std::optional<std::string> DecodeHex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  for (size_t i = 0; i < text.size(); i += 2) {
    const auto high = HexDigit(text[i]);
    const auto low = HexDigit(text[i + 1]);
    if (!high || !low) return std::nullopt;
    bytes += static_cast<char>(*high << 4 | *low);
  }
  return bytes;
}

// Lower case; nothing where it is not `digits` hexadecimal digits.
std::optional<std::string> NormalizeHex(std::string_view text, size_t digits) {
  std::string lower;
  for (const char c : text) {
    const auto digit = HexDigit(c);
    if (!digit) return std::nullopt;
    lower += "0123456789abcdef"[*digit];
  }
  if (lower.size() != digits) return std::nullopt;
  return lower;
}

// The fields of an object, one level below the top.
using Fields = std::map<std::string, std::string, std::less<>>;

// Takes fields out of an object; the first one that is missing or does not parse becomes problem().
class FieldReader {
 public:
  explicit FieldReader(Fields fields) : fields_(std::move(fields)) {}

  std::optional<std::string> Take(std::string_view name) {
    const auto field = fields_.find(name);
    if (field == fields_.end()) return std::nullopt;
    std::string value = std::move(field->second);
    fields_.erase(field);
    return value;
  }
  uint64_t Number(std::string_view name, uint64_t limit) {
    const auto number = ParseDecimal(Take(name).value_or(""));
    if (!number || *number > limit) Complain(fmt::format("\"{}\" is missing or no number", name));
    return number.value_or(0);
  }
  Lsn Location(std::string_view name) {
    const auto lsn = Lsn::Parse(Take(name).value_or(""));
    if (!lsn) Complain(fmt::format("\"{}\" is missing or no LSN", name));
    return lsn.value_or(Lsn{});
  }
  void Complain(std::string problem) {
    if (problem_.empty()) problem_ = std::move(problem);
  }
  [[nodiscard]] const std::string& problem() const { return problem_; }
  // Also when a field is left that nothing took.
  std::string Problem() {
    if (!fields_.empty()) Complain(fmt::format("unknown field \"{}\"", fields_.begin()->first));
    return problem_;
  }

 private:
  Fields fields_;
  std::string problem_;
};

ManifestFile ReadFile(FieldReader& fields) {
  ManifestFile file;
  const auto path = fields.Take("Path");
  const auto encoded_path = fields.Take("Encoded-Path");
  if (path.has_value() == encoded_path.has_value()) {
    fields.Complain("a file needs one of \"Path\" and \"Encoded-Path\"");
  } else if (path) {
    file.path = *path;
  } else if (auto decoded = DecodeHex(*encoded_path)) {
    file.path = *std::move(decoded);
  } else {
    fields.Complain("\"Encoded-Path\" is not hexadecimal");
  }
  file.size = fields.Number("Size", std::numeric_limits<uint64_t>::max());
  file.modified = fields.Take("Last-Modified").value_or("");
  const auto algorithm_name = fields.Take("Checksum-Algorithm");
  const auto checksum = fields.Take("Checksum");
  if (algorithm_name.has_value() != checksum.has_value()) {
    fields.Complain("\"Checksum\" and \"Checksum-Algorithm\" belong together");
  }
  if (!algorithm_name || !checksum) return file;
  for (const Algorithm& algorithm : kAlgorithms) {
    if (algorithm.name != *algorithm_name) continue;
    auto digits = NormalizeHex(*checksum, algorithm.digits);
    if (!digits) fields.Complain(fmt::format("\"{}\" is no checksum of {}", *checksum, algorithm.name));
    file.algorithm = algorithm.value;
    file.checksum = std::move(digits).value_or("");
    return file;
  }
  fields.Complain(fmt::format("unknown checksum algorithm \"{}\"", *algorithm_name));
  return file;
}

ManifestWalRange ReadWalRange(FieldReader& fields) {
  return {{static_cast<uint32_t>(fields.Number("Timeline", std::numeric_limits<uint32_t>::max()))},
          fields.Location("Start-LSN"),
          fields.Location("End-LSN")};
}

// Takes the events of the JSON parser. The form is fixed: an object of scalars and of two arrays of flat objects.
class ManifestReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit ManifestReader(BackupManifest& manifest) : manifest_(manifest) {}

  [[nodiscard]] const std::string& problem() const { return problem_; }
  [[nodiscard]] const Fields& top() const { return top_; }

  bool null() override { return Refuse("null is not expected"); }
  bool boolean(bool) override { return Refuse("a boolean is not expected"); }
  bool number_integer(number_integer_t) override { return Refuse("a negative number is not expected"); }
  bool number_unsigned(number_unsigned_t value) override { return Scalar(fmt::format("{}", value)); }
  bool number_float(number_float_t, const string_t&) override { return Refuse("a fraction is not expected"); }
  bool string(string_t& value) override { return Scalar(std::move(value)); }
  bool binary(binary_t&) override { return Refuse("binary data is not expected"); }
  bool key(string_t& name) override {
    key_ = std::move(name);
    return true;
  }
  bool start_object(size_t) override {
    ++depth_;
    if (depth_ == 1 || (depth_ == 3 && !array_.empty())) return true;
    return Refuse("an object stands where none is expected");
  }
  bool end_object() override {
    --depth_;
    return depth_ == 0 || EndElement();
  }
  bool start_array(size_t) override {
    ++depth_;
    if (depth_ != 2 || (key_ != "Files" && key_ != "WAL-Ranges"))
      return Refuse("an array stands where none is expected");
    array_ = key_;
    return true;
  }
  bool end_array() override {
    --depth_;
    array_.clear();
    return true;
  }
  bool parse_error(size_t, const std::string&, const nlohmann::json::exception& error) override {
    return Refuse(error.what());
  }

 private:
  bool Refuse(std::string problem) {
    if (problem_.empty()) problem_ = std::move(problem);
    return false;
  }
  bool Scalar(std::string value) {
    if (depth_ != 1 && depth_ != 3) return Refuse("a value stands where none is expected");
    Fields& fields = depth_ == 1 ? top_ : element_;
    if (!fields.emplace(key_, std::move(value)).second) return Refuse(fmt::format("two fields \"{}\"", key_));
    return true;
  }
  bool EndElement() {
    FieldReader fields(std::exchange(element_, {}));
    if (array_ == "Files") {
      manifest_.files.push_back(ReadFile(fields));
    } else {
      manifest_.wal_ranges.push_back(ReadWalRange(fields));
    }
    std::string problem = fields.Problem();
    return problem.empty() || Refuse(std::move(problem));
  }

  BackupManifest& manifest_;
  std::string problem_;
  int depth_ = 0;  // 1: the manifest, 2: in an array, 3: in an element of it
  std::string key_;
  std::string array_;  // the key of the array that is open
  Fields top_;
  Fields element_;
};

std::unexpected<Error> DamagedManifest(std::string_view why) {
  return Fail(ErrorCode::kCorrupt, fmt::format("\"{}\": {}", kBackupManifestPath, why));
}

// The checksum covers everything before the last line, which holds it.
Status CheckDigest(std::string_view text, std::string_view expected) {
  const size_t newline = text.size() < 2 ? std::string_view::npos : text.rfind('\n', text.size() - 2);
  if (newline == std::string_view::npos || !text.ends_with('\n')) {
    return DamagedManifest("its checksum does not stand on a line of its own");
  }
  const codec::Sha256Digest digest = codec::Sha256::Of(AsBytes(text.substr(0, newline + 1)));
  if (codec::ToHex(digest) == expected) return {};
  return DamagedManifest("its checksum does not match");
}

// Returns the checksum that the manifest claims.
Result<std::string> ReadTop(FieldReader fields, BackupManifest& manifest) {
  const uint64_t version = fields.Number("PostgreSQL-Backup-Manifest-Version", std::numeric_limits<uint64_t>::max());
  if (!fields.problem().empty()) return DamagedManifest(fields.problem());
  if (version != 1 && version != 2) {
    return Fail(Error(ErrorCode::kUnsupported, fmt::format("\"{}\" is of version {}", kBackupManifestPath, version))
                    .WithHint("versions 1 and 2 are supported"));
  }
  manifest.version = static_cast<int>(version);
  if (version == 2)
    manifest.system_identifier = fields.Number("System-Identifier", std::numeric_limits<uint64_t>::max());
  auto checksum = NormalizeHex(fields.Take("Manifest-Checksum").value_or(""), kSha256Size * 2);
  if (!checksum) fields.Complain("\"Manifest-Checksum\" is missing or no SHA-256");
  if (const std::string problem = fields.Problem(); !problem.empty()) return DamagedManifest(problem);
  return *std::move(checksum);
}

}  // namespace

Result<BackupManifest> ParseBackupManifest(std::string_view text) {
  BackupManifest manifest;
  ManifestReader reader(manifest);
  const bool parsed = nlohmann::json::sax_parse(text, &reader);
  if (!reader.problem().empty()) return DamagedManifest(reader.problem());
  if (!parsed) return DamagedManifest("it is no JSON");
  PGS_ASSIGN(const std::string checksum, ReadTop(FieldReader(reader.top()), manifest));
  PGS_TRY(CheckDigest(text, checksum));
  return manifest;
}

}  // namespace pgstrata::pgdata
