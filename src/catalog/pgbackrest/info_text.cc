#include "catalog/pgbackrest/info_text.h"

#include <optional>
#include <string>

#include "catalog/pgbackrest/json_reader.h"
#include "foundation/base/text.h"
#include "foundation/codec/sha1.h"
#include "foundation/codec/sha256.h"

namespace pgstrata::pgbackrest {
namespace {

constexpr std::string_view kOwnSection = "backrest";
constexpr std::string_view kSealKey = "backrest-checksum";
constexpr std::string_view kFormatKey = "backrest-format";

// What the seal is made of: all lines as one JSON object of objects, the seal itself left out.
class Seal {
 public:
  void Add(const InfoLine& line) {
    if (line.section != section_ || !begun_) {
      Feed(begun_ ? "}," : "{");
      Feed(ToJsonString(line.section));
      Feed(":{");
    } else {
      Feed(",");
    }
    begun_ = true;
    section_ = line.section;
    Feed(ToJsonString(line.key));
    Feed(":");
    Feed(line.value);
  }
  std::string Finish() {
    Feed("}}");
    return codec::ToHex(hash_.Finish());
  }

 private:
  void Feed(std::string_view text) { hash_.Update(AsBytes(text)); }

  codec::Sha1 hash_;
  std::string_view section_;
  bool begun_ = false;
};

// A key may hold "=": it ends at the first one after which there is JSON. Where there is one only, it is that, and
// whoever uses the value finds out whether it is JSON: a manifest has 100,000 lines.
std::optional<InfoLine> ParseLine(std::string_view section, std::string_view line) {
  for (size_t equal = line.find('='); equal != std::string_view::npos;) {
    const size_t next = line.find('=', equal + 1);
    const std::string_view value = line.substr(equal + 1);
    const bool is_only_one = next == std::string_view::npos && line.find('=') == equal;
    if (equal > 0 && (is_only_one || IsJson(value))) {
      return InfoLine{.section = section, .key = line.substr(0, equal), .value = value};
    }
    equal = next;
  }
  return std::nullopt;
}

Status CheckFormat(std::string_view value) {
  if (value == std::to_string(kRepositoryFormat)) return {};
  return Fail(ErrorCode::kUnsupported,
              "it is of repository format " + std::string(value) + ", not " + std::to_string(kRepositoryFormat));
}

}  // namespace

Status VisitInfoText(std::string_view text, const std::function<Status(const InfoLine&)>& visit) {
  Seal seal;
  std::string_view section;
  std::string written;
  size_t number = 0;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    ++number;
    if (line.empty()) continue;
    if (line.size() > 2 && line.front() == '[' && line.back() == ']') {
      section = line.substr(1, line.size() - 2);
      continue;
    }
    const auto parsed = section.empty() ? std::nullopt : ParseLine(section, line);
    if (!parsed) return Fail(ErrorCode::kCorrupt, "line " + std::to_string(number) + " is not KEY=JSON");
    if (section == kOwnSection && parsed->key == kSealKey) {
      written = JsonReader(parsed->value).String();
      continue;
    }
    if (section == kOwnSection && parsed->key == kFormatKey) PGS_TRY(CheckFormat(parsed->value));
    seal.Add(*parsed);
    PGS_TRY(visit(*parsed));
  }
  if (written.empty()) return Fail(ErrorCode::kCorrupt, "it ends early: there is no " + std::string(kSealKey));
  if (written == seal.Finish()) return {};
  return Fail(ErrorCode::kCorrupt, "it is damaged: its " + std::string(kSealKey) + " is another");
}

}  // namespace pgstrata::pgbackrest
