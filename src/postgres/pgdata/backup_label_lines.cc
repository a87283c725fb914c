#include "postgres/pgdata/backup_label_lines.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

#include "foundation/base/text.h"
#include "postgres/pgdata/wal_name.h"

namespace pgstrata::pgdata {
namespace {

constexpr std::string_view kStart = "START WAL LOCATION";
constexpr std::string_view kCheckpoint = "CHECKPOINT LOCATION";
constexpr std::string_view kMethod = "BACKUP METHOD";
constexpr std::string_view kFrom = "BACKUP FROM";
constexpr std::string_view kStartTime = "START TIME";
constexpr std::string_view kLabel = "LABEL";
constexpr std::string_view kStartTimeline = "START TIMELINE";
constexpr std::string_view kIncrementalLsn = "INCREMENTAL FROM LSN";
constexpr std::string_view kIncrementalTimeline = "INCREMENTAL FROM TLI";
constexpr std::array kKeys = {kStart,          kCheckpoint,         kMethod, kFrom, kStartTime, kLabel, kStartTimeline,
                              kIncrementalLsn, kIncrementalTimeline};

bool IsOneOf(std::string_view key, std::span<const std::string_view> keys) {
  return std::ranges::find(keys, key) != keys.end();
}

}  // namespace

std::unexpected<Error> BackupLabelLines::Corrupt(std::string_view why) const {
  return Fail(ErrorCode::kCorrupt, fmt::format("\"{}\": {}", file_, why));
}

// A label may hold newlines (nothing forbids them in pg_backup_start), so what follows LABEL belongs to it until a key
// that PostgreSQL writes behind it.
Status BackupLabelLines::Add(std::string_view line, std::span<const std::string_view> extra_keys) {
  const size_t colon = line.find(": ");
  const std::string_view key = colon == std::string_view::npos ? std::string_view() : line.substr(0, colon);
  const bool known = IsOneOf(key, kKeys) || IsOneOf(key, extra_keys);
  if (last_key_ == kLabel && (!known || Has(key))) {
    values_.find(kLabel)->second.append("\n").append(line);
    return {};
  }
  if (values_.empty() && key != kStart) return Corrupt(fmt::format("it does not begin with \"{}\"", kStart));
  if (!known) {
    return Fail(Error(ErrorCode::kUnsupported, fmt::format("\"{}\": unknown line \"{}\"", file_, line))
                    .WithHint("it may have been written by a later version of PostgreSQL"));
  }
  if (Has(key)) return Corrupt(fmt::format("it has two lines \"{}\"", key));
  values_.emplace(key, line.substr(colon + 2));
  last_key_ = key;
  return {};
}

Result<BackupLabelLines> BackupLabelLines::Parse(std::string_view file, std::string_view text,
                                                 std::span<const std::string_view> extra_keys) {
  BackupLabelLines lines(file);
  std::vector<std::string_view> all = Split(text, '\n');
  // Scripts that save what pg_backup_stop returns leave further newlines at the end; PostgreSQL does not mind either.
  while (!all.empty() && TrimWhitespace(all.back()).empty()) all.pop_back();
  if (all.empty()) return lines.Corrupt("it is empty");
  for (const std::string_view line : all) PGS_TRY(lines.Add(line, extra_keys));
  return lines;
}

std::string BackupLabelLines::Text(std::string_view key) const {
  const auto value = values_.find(key);
  return value == values_.end() ? std::string() : value->second;
}

Result<std::string_view> BackupLabelLines::Value(std::string_view key) const {
  const auto value = values_.find(key);
  if (value == values_.end()) return Corrupt(fmt::format("it has no line \"{}\"", key));
  return std::string_view(value->second);
}

Result<Lsn> BackupLabelLines::Location(std::string_view key) const {
  PGS_ASSIGN(const std::string_view value, Value(key));
  const auto lsn = Lsn::Parse(value);
  if (!lsn) return Corrupt(fmt::format("\"{}: {}\" has no LSN", key, value));
  return *lsn;
}

Result<WalPosition> BackupLabelLines::Position(std::string_view key) const {
  PGS_ASSIGN(const std::string_view value, Value(key));
  constexpr std::string_view kOpen = " (file ";
  const size_t open = value.find(kOpen);
  const auto lsn = Lsn::Parse(value.substr(0, open));
  if (open == std::string_view::npos || !value.ends_with(')') || !lsn) {
    return Corrupt(fmt::format("\"{}: {}\" is no position in the WAL", key, value));
  }
  std::string_view wal_file = value.substr(open + kOpen.size());
  wal_file.remove_suffix(1);
  if (!LooksLikeSegmentName(wal_file)) return Corrupt(fmt::format("\"{}\" is no name of a WAL segment", wal_file));
  return WalPosition{*lsn, std::string(wal_file)};
}

Result<TimelineId> BackupLabelLines::Timeline(std::string_view key) const {
  PGS_ASSIGN(const std::string_view value, Value(key));
  const auto number = ParseDecimal(value);
  if (!number || *number == 0 || *number > std::numeric_limits<uint32_t>::max()) {
    return Corrupt(fmt::format("\"{}: {}\" is no timeline", key, value));
  }
  return TimelineId{static_cast<uint32_t>(*number)};
}

Result<BackupLabel> BackupLabelLines::Label() const {
  PGS_ASSIGN(WalPosition start, Position(kStart));
  BackupLabel label;
  label.start = start.lsn;
  label.start_wal_file = std::move(start.wal_file);
  PGS_ASSIGN(label.checkpoint, Location(kCheckpoint));
  label.method = Text(kMethod);
  label.from_standby = Text(kFrom) == "standby";
  label.start_time = Text(kStartTime);
  label.label = Text(kLabel);

  label.start_timeline = {static_cast<uint32_t>(*ParseHex(label.start_wal_file.substr(0, 8)))};
  if (Has(kStartTimeline)) {
    PGS_ASSIGN(const TimelineId named, Timeline(kStartTimeline));
    if (named != label.start_timeline) return Corrupt("its timeline is not that of its first WAL segment");
  }
  if (Has(kIncrementalLsn) || Has(kIncrementalTimeline)) {
    IncrementalBase base;
    PGS_ASSIGN(base.lsn, Location(kIncrementalLsn));
    PGS_ASSIGN(base.timeline, Timeline(kIncrementalTimeline));
    label.incremental_base = base;
  }
  return label;
}

}  // namespace pgstrata::pgdata
