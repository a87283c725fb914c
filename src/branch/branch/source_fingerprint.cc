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

constexpr std::string_view kHeading = "pgstrata source 1\n";
constexpr std::string_view kIdentity = "identity ";
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

std::string LineOf(const std::string& path, const image::Fingerprint& file) {
  return fmt::format("{} {} {} {} {}\n", file.inode, file.size, file.modified_ns, file.changed_ns, Escaped(path));
}

// A line, by its path: INODE SIZE MODIFIED CHANGED.
using Lines = std::map<std::string_view, std::string_view>;

std::string_view PathOf(std::string_view line) {
  for (int field = 0; field < 4; ++field) line.remove_prefix(std::min(line.find(' '), line.size() - 1) + 1);
  return line;
}

Lines LinesOf(std::string_view text) {
  Lines lines;
  for (const auto line : SplitLines(text.substr(kHeading.size()))) {
    if (line.starts_with(kDigest) || line.starts_with(kIdentity)) continue;
    const auto path = PathOf(line);
    lines.emplace(path, line.substr(0, line.size() - path.size()));
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

std::string_view SizeOf(std::string_view numbers) { return Split(numbers, ' ').at(1); }

Error Changed(const image::DirectoryImage& image, std::string_view path, const char* how) {
  return Error(ErrorCode::kCorrupt, fmt::format("the source changed: {} {} since the branch was made",
                                                Quoted(JoinPath(image.root(), path)), how))
      .WithHint(
          "a branch needs its source as it was; find out what writes to it (a server that was started on it?). If "
          "the source lies elsewhere now, pgstrata branch relocate takes it from there");
}

}  // namespace

Result<Fingerprints> TakeFingerprints(const image::DirectoryImage& image) {
  PGS_ASSIGN(const std::string identity, Identity(image));
  Fingerprints taken{.text = fmt::format("{}{}{}\n", kHeading, kIdentity, identity)};
  PGS_TRY(image.VisitFingerprints([&](const std::string& path, const image::Fingerprint& file) -> Status {
    taken.text += LineOf(path, file);
    if (!path.starts_with("pg_wal/")) taken.logical_bytes += file.size;
    return {};
  }));
  taken.text += fmt::format("{}{}\n", kDigest, codec::ToHex(codec::Sha256::Of(AsBytes(taken.text))));
  return taken;
}

Result<std::string> ReadFingerprints(const std::string& path) {
  PGS_ASSIGN(std::string text, io::ReadWholeFile(path, kLargest));
  const size_t end = text.rfind(kDigest);
  const bool whole = text.starts_with(kHeading) && end != std::string::npos && text.ends_with('\n') &&
                     codec::ToHex(codec::Sha256::Of(AsBytes(std::string_view(text).substr(0, end)))) ==
                         TrimWhitespace(std::string_view(text).substr(end + kDigest.size()));
  if (!whole) return Fail(ErrorCode::kCorrupt, Quoted(path) + " is damaged, or of a newer pgstrata");
  return text;
}

Status CheckFingerprints(const image::DirectoryImage& image, const std::string& path) {
  PGS_ASSIGN(const std::string then, ReadFingerprints(path));
  PGS_ASSIGN(const Fingerprints now, TakeFingerprints(image));
  if (now.text == then) return {};
  const Lines before = LinesOf(then);
  const Lines after = LinesOf(now.text);
  for (const auto& [file, numbers] : before) {
    const auto found = after.find(file);
    if (found == after.end()) return Fail(Changed(image, file, "is gone"));
    if (found->second != numbers) return Fail(Changed(image, file, "is another"));
  }
  for (const auto& [file, numbers] : after) {
    if (!before.contains(file)) return Fail(Changed(image, file, "is new"));
  }
  if (IdentityOf(then) == IdentityOf(now.text)) return {};
  return Fail(Changed(image, pgdata::kControlFilePath, "is another"));
}

Status CheckSameBackup(const image::DirectoryImage& image, const std::string& path) {
  PGS_ASSIGN(const std::string then, ReadFingerprints(path));
  PGS_ASSIGN(const Fingerprints now, TakeFingerprints(image));
  const Lines before = LinesOf(then);
  const Lines after = LinesOf(now.text);
  const auto differs = [&](std::string_view file, const char* how) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{} is not the same backup: {} {}", Quoted(image.root()), Quoted(file), how));
  };
  if (IdentityOf(then) != IdentityOf(now.text)) {
    return differs("global/pg_control", "or backup_label is another");
  }
  for (const auto& [file, numbers] : before) {
    const auto found = after.find(file);
    if (found == after.end()) return differs(file, "is missing");
    if (SizeOf(found->second) != SizeOf(numbers)) return differs(file, "has another size");
  }
  for (const auto& [file, numbers] : after) {
    if (!before.contains(file)) return differs(file, "was not there");
  }
  return {};
}

Status WriteFingerprints(const std::string& path, const Fingerprints& fingerprints) {
  return io::ReplaceFile(path, fingerprints.text);
}

}  // namespace pgstrata::branch
