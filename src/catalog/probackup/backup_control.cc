#include "catalog/probackup/backup_control.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <map>

#include "catalog/probackup/recorded_time.h"
#include "foundation/base/text.h"

namespace pgstrata::probackup {
namespace {

constexpr std::array<std::pair<std::string_view, BackupMode>, 4> kModes = {{{"FULL", BackupMode::kFull},
                                                                            {"DELTA", BackupMode::kDelta},
                                                                            {"PAGE", BackupMode::kPage},
                                                                            {"PTRACK", BackupMode::kPtrack}}};

std::unexpected<Error> Damaged(std::string_view what, std::string_view value) {
  return Fail(ErrorCode::kCorrupt, fmt::format("backup.control: {} {}", Quoted(value), what));
}

// 'it''s' is it's; what follows the closing quote is nothing but a comment.
Result<std::string> Unquoted(std::string_view text) {
  if (!text.starts_with('\'')) return std::string(TrimWhitespace(text.substr(0, text.find('#'))));
  std::string value;
  for (size_t i = 1; i < text.size(); ++i) {
    if (text[i] != '\'') {
      value += text[i];
    } else if (i + 1 < text.size() && text[i + 1] == '\'') {
      value += text[++i];
    } else {
      const auto rest = TrimWhitespace(text.substr(i + 1));
      if (rest.empty() || rest.starts_with('#')) return value;
      break;
    }
  }
  return Damaged("is no value", text);
}

using Values = std::map<std::string, std::string, std::less<>>;

Result<Values> ReadLines(std::string_view text) {
  Values values;
  for (const auto line : SplitLines(text)) {
    const auto trimmed = TrimWhitespace(line);
    if (trimmed.empty() || trimmed.starts_with('#') || trimmed.starts_with(';')) continue;
    const size_t equals = trimmed.find('=');
    if (equals == std::string_view::npos || equals == 0) return Damaged("is not \"key = value\"", trimmed);
    PGS_ASSIGN(std::string value, Unquoted(TrimWhitespace(trimmed.substr(equals + 1))));
    values.insert_or_assign(std::string(TrimWhitespace(trimmed.substr(0, equals))), std::move(value));
  }
  return values;
}

// Takes values of their kinds out of the lines; the first that is not of its kind is the error.
class Fields {
 public:
  explicit Fields(const Values& values) : values_(values) {}

  std::string Text(std::string_view key) const {
    const auto found = values_.find(key);
    return found == values_.end() ? std::string() : found->second;
  }
  std::optional<uint64_t> Number(std::string_view key, uint64_t largest = std::numeric_limits<int64_t>::max()) {
    const std::string text = Text(key);
    if (text.empty()) return std::nullopt;
    const auto number = ParseDecimal(text);
    if (!number || *number > largest) {
      Complain(key, text);
      return std::nullopt;
    }
    return number;
  }
  uint32_t Number32(std::string_view key, uint32_t otherwise) {
    return static_cast<uint32_t>(Number(key, std::numeric_limits<uint32_t>::max()).value_or(otherwise));
  }
  bool Flag(std::string_view key) {
    const std::string text = Text(key);
    const bool yes = text == "true" || text == "on" || text == "yes" || text == "1";
    const bool no = text.empty() || text == "false" || text == "off" || text == "no" || text == "0";
    if (!yes && !no) Complain(key, text);
    return yes;
  }
  Lsn Position(std::string_view key) {
    const std::string text = Text(key);
    if (text.empty()) return {};
    const auto lsn = Lsn::Parse(text);
    if (!lsn) Complain(key, text);
    return lsn.value_or(Lsn{});
  }
  void Complain(std::string_view key, std::string_view text) {
    if (!error_) error_ = Error(ErrorCode::kCorrupt, fmt::format("backup.control: {} is no {}", Quoted(text), key));
  }
  [[nodiscard]] Status Sound() const { return error_ ? Status(std::unexpected(*error_)) : Status(); }

 private:
  const Values& values_;
  std::optional<Error> error_;
};

// "/a/" is "/a".
std::string WithoutTrailingSlash(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  return std::string(path);
}

std::vector<std::string> SortedDirectories(std::string_view text) {
  std::vector<std::string> directories;
  for (const auto part : Split(text, ':')) {
    if (!part.empty()) directories.push_back(WithoutTrailingSlash(part));
  }
  std::ranges::sort(directories);
  return directories;
}

std::optional<BackupMode> ParseMode(std::string_view text) {
  for (const auto& [name, mode] : kModes) {
    if (text == name) return mode;
  }
  return std::nullopt;
}

Status CheckStatus(const BackupControl& control, bool force) {
  if (control.status == "OK" || control.status == "DONE") return {};
  Error error(ErrorCode::kCorrupt, fmt::format("backup {} has the status {}", control.id, control.status));
  if (HoldsStill(control.status)) {
    if (force) return {};
    return Fail(std::move(error).WithHint(
        "pg_probackup found damage in it or in its parents; --force opens what can be read of it, and reads of what is "
        "damaged fail"));
  }
  if (control.status == "MERGING" || control.status == "MERGED") {
    return Fail(
        std::move(error).WithHint("it is being merged, or a merge of it was cut short: run pg_probackup merge"));
  }
  if (control.status == "RUNNING") {
    return Fail(std::move(error).WithHint("it is being made, or was cut short: it is not whole"));
  }
  return Fail(std::move(error).WithHint("it is not whole; open another one"));
}

}  // namespace

std::string_view BackupModeName(BackupMode mode) { return kModes.at(static_cast<size_t>(mode)).first; }

std::string ProgramVersion::ToString() const { return fmt::format("{}.{}.{}", major, minor, patch); }

std::optional<ProgramVersion> ProgramVersion::Parse(std::string_view text) {
  constexpr uint64_t kLargest = 9999;
  const auto parts = Split(text, '.');
  if (parts.size() < 2 || parts.size() > 4) return std::nullopt;
  std::array<uint32_t, 3> numbers{};
  for (size_t i = 0; i < parts.size() && i < numbers.size(); ++i) {
    const auto number = ParseDecimal(parts[i]);
    if (!number || *number > kLargest) return std::nullopt;
    numbers.at(i) = static_cast<uint32_t>(*number);
  }
  return ProgramVersion{numbers[0], numbers[1], numbers[2]};
}

std::string ToBase36(uint64_t value) {
  constexpr std::string_view kDigits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  std::string text;
  do {
    text += kDigits[value % kDigits.size()];
    value /= kDigits.size();
  } while (value != 0);
  std::ranges::reverse(text);
  return text;
}

Result<BackupControl> ParseBackupControl(std::string_view text) {
  PGS_ASSIGN(const Values values, ReadLines(text));
  Fields fields(values);
  BackupControl control{
      .status = fields.Text("status"),
      .parent = fields.Text("parent-backup-id"),
      .server_version = fields.Text("server-version"),
      .compression = fields.Text("compress-alg"),
      .stream = fields.Flag("stream"),
      .from_replica = fields.Flag("from-replica"),
      .block_size = fields.Number32("block-size", 8192),
      .wal_block_size = fields.Number32("xlog-block-size", 8192),
      .data_checksums = fields.Number32("checksum-version", 0) != 0,
      .timeline = {fields.Number32("timelineid", 0)},
      .start = fields.Position("start-lsn"),
      .stop = fields.Position("stop-lsn"),
      .start_time = fields.Text("start-time"),
      .end_time = fields.Text("end-time"),
      .merge_time = fields.Text("merge-time"),
      .recovery_time = fields.Text("recovery-time"),
      .expire_time = fields.Text("expire-time"),
      .data_bytes = fields.Number("data-bytes"),
      .wal_bytes = fields.Number("wal-bytes"),
      .pgdata_bytes = fields.Number("pgdata-bytes"),
      .external_directories = SortedDirectories(fields.Text("external-dirs")),
      .note = fields.Text("note"),
      .content_crc = fields.Number32("content-crc", 0),
  };
  PGS_TRY(fields.Sound());
  const auto mode = ParseMode(fields.Text("backup-mode"));
  if (!mode) return Damaged("is no backup-mode", fields.Text("backup-mode"));
  control.mode = *mode;
  const auto version = ProgramVersion::Parse(fields.Text("program-version"));
  if (!version) return Damaged("is no program-version", fields.Text("program-version"));
  control.version = *version;
  const auto started = ParseRecordedTime(control.start_time);
  if (!started) return Damaged("is no start-time", control.start_time);
  control.id = ToBase36(*started);
  if (control.status.empty()) return Damaged("is no status", "");
  if (control.mode == BackupMode::kFull) control.parent.clear();
  if (control.mode != BackupMode::kFull && !IsBackupId(control.parent)) {
    return Damaged("is no parent-backup-id of an incremental backup", control.parent);
  }
  return control;
}

bool IsBackupId(std::string_view text) {
  constexpr size_t kLongest = 13;  // of 64 bits
  const auto is_digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'); };
  return !text.empty() && text.size() <= kLongest && std::ranges::all_of(text, is_digit);
}

bool HoldsStill(std::string_view status) {
  return status == "OK" || status == "DONE" || status == "CORRUPT" || status == "ORPHAN";
}

Status CheckUsable(const BackupControl& control, bool force) {
  if (control.version < kOldestVersion) {
    return Fail(
        Error(ErrorCode::kUnsupported, fmt::format("backup {} was made by pg_probackup {}: from {} on they are read",
                                                   control.id, control.version.ToString(), kOldestVersion.ToString()))
            .WithHint("restore it with pg_probackup, then open that"));
  }
  if (control.version > kNewestVersion && !force) {
    return Fail(
        Error(ErrorCode::kUnsupported, fmt::format("backup {} was made by pg_probackup {}, which is newer than the "
                                                   "newest one known here, {}",
                                                   control.id, control.version.ToString(), kNewestVersion.ToString()))
            .WithHint("--force reads it as if it were of that version"));
  }
  constexpr uint32_t kBlockSize = 8192;
  if (control.block_size != kBlockSize || control.wal_block_size != kBlockSize) {
    return Fail(ErrorCode::kUnsupported,
                fmt::format("backup {} is of a server with blocks of {} bytes and WAL blocks of {} bytes, not of 8192",
                            control.id, control.block_size, control.wal_block_size));
  }
  return CheckStatus(control, force);
}

}  // namespace pgstrata::probackup
