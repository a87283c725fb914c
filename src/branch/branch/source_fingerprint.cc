#include "branch/branch/source_fingerprint.h"

#include <fmt/core.h>

#include <map>
#include <string_view>

#include "foundation/base/text.h"
#include "foundation/codec/sha256.h"
#include "foundation/io/file.h"
#include "postgres/pgdata/backup_label.h"
#include "postgres/pgdata/control_file.h"

namespace pgstrata::branch {
namespace {

constexpr std::string_view kHeading = "pgstrata source 2\n";
constexpr std::string_view kFirstHeading = "pgstrata source 1\n";  // of directories alone; else the same
constexpr std::string_view kIdentity = "identity ";
constexpr std::string_view kFact = "fact ";
constexpr uint64_t kLargest = 1ULL << 30;
constexpr std::string_view kDigest = "sha256 ";

std::string Escaped(std::string_view path) {
  std::string text;
  for (const char c : path) {
    if (c == '\\' || c == '\n') {
      text += c == '\n' ? "\\n" : "\\\\";
    } else {
      text += c;
    }
  }
  return text;
}

std::string LineOf(const image::SourcePart& part) {
  const std::string name = Escaped(part.name);
  if (part.file == nullptr) return fmt::format("{}{} {}\n", kFact, part.fact, name);
  const auto& file = *part.file;
  return fmt::format("{} {} {} {} {}\n", file.inode, file.size, file.modified_ns, file.changed_ns, name);
}

// A line, by the name of its part: "INODE SIZE MODIFIED CHANGED " or "fact WORD ".
using Lines = std::map<std::string_view, std::string_view>;

std::string_view NameOf(std::string_view line) {
  const int fields = line.starts_with(kFact) ? 2 : 4;
  for (int field = 0; field < fields; ++field) line.remove_prefix(std::min(line.find(' '), line.size() - 1) + 1);
  return line;
}

Lines LinesOf(std::string_view text) {
  Lines lines;
  for (const auto line : SplitLines(text.substr(kHeading.size()))) {
    if (line.starts_with(kDigest) || line.starts_with(kIdentity)) continue;
    const auto name = NameOf(line);
    lines.emplace(name, line.substr(0, line.size() - name.size()));
  }
  return lines;
}

std::string_view IdentityOf(std::string_view text) { return SplitLines(text.substr(kHeading.size())).at(0); }

// Of what tells one backup from another.
Result<std::string> Identity(const image::Image& image) {
  codec::Sha256 digest;
  for (const std::string_view path : {pgdata::kControlFilePath, pgdata::kBackupLabelPath}) {
    const auto text = image::ReadSmallFile(image, path);
    if (text) digest.Update(AsBytes(*text));
    if (!text && text.error().code() != ErrorCode::kNotFound) return Fail(text.error());
    digest.Update(AsBytes(std::string_view("\n")));
  }
  return codec::ToHex(digest.Finish());
}

// What stays of a part when it is copied: its size, or its fact.
std::string_view ContentOf(std::string_view values) {
  return values.starts_with(kFact) ? values : Split(values, ' ').at(1);
}

std::string Described(const image::Image& image, std::string_view part) {
  if (image.ShowsItsParts()) return Quoted(JoinPath(image.name(), part));
  return Quoted(part) + " of " + Quoted(image.name());
}

std::unexpected<Error> Changed(const image::Image& image, std::string_view part, const char* how) {
  return Fail(
      Error(ErrorCode::kCorrupt,
            fmt::format("the source changed: {} {} since the branch was made", Described(image, part), how))
          .WithHint("a branch needs its source as it was; find out what writes to it (a server that was started on it, "
                    "or a catalog's own merge or expire?). If the source lies elsewhere now, pgstrata branch relocate "
                    "takes it from there"));
}

}  // namespace

Result<Fingerprints> TakeFingerprints(const image::Image& image) {
  PGS_ASSIGN(const std::string identity, Identity(image));
  Fingerprints taken{.text = fmt::format("{}{}{}\n", kHeading, kIdentity, identity)};
  PGS_TRY(image.VisitParts([&](const image::SourcePart& part) -> Status {
    taken.text += LineOf(part);
    if (part.file != nullptr && !part.name.starts_with("pg_wal/")) taken.file_bytes += part.file->size;
    return {};
  }));
  taken.text += fmt::format("{}{}\n", kDigest, codec::ToHex(codec::Sha256::Of(AsBytes(taken.text))));
  return taken;
}

Result<std::string> ReadFingerprints(const std::string& path) {
  PGS_ASSIGN(std::string text, io::ReadWholeFile(path, kLargest));
  const size_t end = text.rfind(kDigest);
  const bool known = text.starts_with(kHeading) || text.starts_with(kFirstHeading);
  const bool whole = known && end != std::string::npos && text.ends_with('\n') &&
                     codec::ToHex(codec::Sha256::Of(AsBytes(std::string_view(text).substr(0, end)))) ==
                         TrimWhitespace(std::string_view(text).substr(end + kDigest.size()));
  if (!whole) return Fail(ErrorCode::kCorrupt, Quoted(path) + " is damaged, or of a newer pgstrata");
  return text;
}

Status CheckFingerprints(const image::Image& image, const std::string& path) {
  PGS_ASSIGN(const std::string then, ReadFingerprints(path));
  PGS_ASSIGN(const Fingerprints now, TakeFingerprints(image));
  if (now.text == then) return {};
  const Lines before = LinesOf(then);
  const Lines after = LinesOf(now.text);
  for (const auto& [part, values] : before) {
    const auto found = after.find(part);
    if (found == after.end()) return Changed(image, part, "is gone");
    if (found->second != values) return Changed(image, part, "is another");
  }
  for (const auto& [part, values] : after) {
    if (!before.contains(part)) return Changed(image, part, "is new");
  }
  if (IdentityOf(then) == IdentityOf(now.text)) return {};
  return Changed(image, pgdata::kControlFilePath, "is another");
}

Status CheckSameBackup(const image::Image& image, const std::string& path) {
  PGS_ASSIGN(const std::string then, ReadFingerprints(path));
  PGS_ASSIGN(const Fingerprints now, TakeFingerprints(image));
  const Lines before = LinesOf(then);
  const Lines after = LinesOf(now.text);
  const auto differs = [&](std::string_view part, const char* how) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{} is not the same backup: {} {}", Quoted(image.name()), Quoted(part), how));
  };
  if (IdentityOf(then) != IdentityOf(now.text)) {
    return differs("global/pg_control", "or backup_label is another");
  }
  for (const auto& [part, values] : before) {
    const auto found = after.find(part);
    if (found == after.end()) return differs(part, "is missing");
    if (ContentOf(found->second) != ContentOf(values)) {
      return differs(part, values.starts_with(kFact) ? "is another" : "has another size");
    }
  }
  for (const auto& [part, values] : after) {
    if (!before.contains(part)) return differs(part, "was not there");
  }
  return {};
}

Status WriteFingerprints(const std::string& path, const Fingerprints& fingerprints) {
  return io::ReplaceFile(path, fingerprints.text);
}

}  // namespace pgstrata::branch
