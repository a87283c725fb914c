#include "backup/source/choose.h"

#include <algorithm>
#include <utility>

#include "foundation/base/text.h"

namespace pgstrata::source {

Result<size_t> ChooseBackup(const std::string& place, const std::vector<std::string>& choices,
                            const SourceRequest& request) {
  if (choices.size() == 1) return 0;
  const std::string question = std::to_string(choices.size()) + " backups lie in " + Quoted(place);
  if (request.choose) return request.choose(question, choices);
  std::string hint = "name one of them:";
  for (const auto& line : choices) hint += "\n  " + line;
  return Fail(Error(ErrorCode::kInvalidArgument, question).WithHint(std::move(hint)));
}

namespace {

constexpr int64_t kSecond = 1'000'000'000;

// By LSN where that is asked for, else by time.
bool IsOlder(const BackupEnd& one, const BackupEnd& other, const EndedBefore& limit) {
  return limit.lsn ? one.lsn < other.lsn : one.time < other.time;
}

bool EndedInTime(const BackupEnd& backup, const EndedBefore& limit, int64_t uncertainty) {
  if (limit.lsn) return backup.lsn && *backup.lsn <= *limit.lsn;
  if (!backup.time) return false;
  return !limit.time || backup.time->unix_ns <= limit.time->unix_ns - uncertainty;
}

}  // namespace

Result<size_t> NewestBefore(const std::string& place, const std::vector<BackupEnd>& backups, const EndedBefore& limit) {
  if (backups.size() == 1) return backups.front().number;
  for (const int64_t uncertainty : {kSecond, int64_t{0}}) {
    const BackupEnd* newest = nullptr;
    for (const auto& backup : backups) {
      if (!EndedInTime(backup, limit, uncertainty)) continue;
      if (newest == nullptr || !IsOlder(backup, *newest, limit)) newest = &backup;
    }
    if (newest != nullptr) return newest->number;
  }
  std::string message =
      "none of the " + std::to_string(backups.size()) + " backups in " + Quoted(place) + " ended before ";
  message += limit.lsn ? limit.lsn->ToString() : limit.time.value_or(Timestamp()).ToString();
  std::optional<Timestamp> first;
  for (const auto& backup : backups) {
    if (backup.time) first = std::min(first.value_or(*backup.time), *backup.time);
  }
  if (first) message += "; the first ended at " + first->ToString();
  return Fail(Error(ErrorCode::kNotFound, std::move(message)).WithHint("ask for a later moment, or name a backup"));
}

}  // namespace pgstrata::source
