#include "branch/branch/moment.h"

#include <fmt/format.h>

#include <algorithm>

#include "branch/branch/moment_scan.h"
#include "branch/branch/source_configuration.h"
#include "foundation/base/text.h"
#include "postgres/pgdata/pg_time.h"
#include "postgres/pgdata/recovery_target.h"
#include "postgres/pgdata/timeline_history.h"

namespace pgstrata::branch {
namespace {

using pgdata::TimelineHistory;
using Kind = pgdata::RecoveryTarget::Kind;

// Where two histories part; nothing where one of them is the other.
std::optional<Lsn> PartingOf(const TimelineHistory& one, const TimelineHistory& other) {
  const auto& a = one.spans();
  const auto& b = other.spans();
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (a[i].timeline != b[i].timeline) return a[i].begin;
    if (a[i].end == b[i].end) continue;
    if (!a[i].end) return b[i].end;
    return b[i].end ? std::min(a[i].end, b[i].end) : a[i].end;
  }
  return std::nullopt;
}

class Search {
 public:
  Search(const image::Image& image, const ClusterFacts& facts, const WalInventory& inventory,
         const MomentRequest& request)
      : image_(image), facts_(facts), inventory_(inventory), request_(request) {}

  Result<Moment> Run(std::optional<Lsn> consistent_at) {
    PGS_ASSIGN(target_, pgdata::ParseRecoveryTarget(request_.at, request_.now, ClusterZone(image_)));
    if (facts_.kind == ClusterKind::kCrashed && target_.kind != Kind::kLatest) return CrashedHasNoMoments();
    PGS_ASSIGN(consistent_at_, FindConsistency(inventory_, facts_, consistent_at));
    PGS_TRY(FindHistories());
    PGS_ASSIGN(const TimelineHistory* history, ChooseHistory());
    PGS_ASSIGN(auto scanned, ScanAlong(*history));
    PGS_TRY(CheckReached(scanned, *history));
    auto warnings = std::move(scanned.warnings);
    if (!scanned.gap.empty() && target_.kind == Kind::kLatest) {
      warnings.push_back(scanned.gap +
                         ", although there is WAL behind it: this is the last moment that can be reached");
    }
    WarnOfOtherTimelines(*history, scanned, warnings);
    return Moment{.timeline = timeline_,
                  .stop = scanned.stop,
                  .end = scanned.end,
                  .last_transaction = scanned.last_transaction,
                  .segments = std::move(scanned.segments),
                  .warnings = std::move(warnings),
                  .description = Describe(scanned),
                  .tablespace_place = std::move(scanned.tablespace_place),
                  .parameters = scanned.parameters};
  }

 private:
  std::unexpected<Error> CrashedHasNoMoments() const {
    return Fail(Error(ErrorCode::kUnsupported, Quoted(image_.name()) +
                                                   " is a copy of a crashed data directory: PostgreSQL replays all of "
                                                   "its WAL and cannot stop before its end")
                    .WithHint("open it without --at, or name a backup"));
  }

  // The backup's own, and those at hand that grew from it after the backup was consistent. Oldest first.
  Status FindHistories() {
    PGS_ASSIGN(auto own, inventory_.History(facts_.timeline));
    histories_.push_back(std::move(own));
    for (const auto& name : inventory_.Histories()) {
      const auto parsed = pgdata::ParseWalFileName(name, facts_.control.wal_segment_size);
      if (!parsed || parsed->timeline <= facts_.timeline) continue;
      auto history = inventory_.History(parsed->timeline);
      if (!history) {
        if (request_.timeline == parsed->timeline) return Fail(std::move(history).error());
        continue;
      }
      if (history->Contains(facts_.timeline, consistent_at_)) {
        histories_.push_back(*std::move(history));
      } else if (history->Contains(facts_.timeline)) {
        left_before_.push_back(*std::move(history));
      }
    }
    std::ranges::sort(histories_, {}, &TimelineHistory::timeline);
    return {};
  }

  Result<const TimelineHistory*> ChooseHistory() const {
    if (!request_.timeline) return &histories_.back();
    const auto found = std::ranges::find(histories_, *request_.timeline, &TimelineHistory::timeline);
    if (found != histories_.end()) return &*found;
    std::string known;
    for (const auto& history : histories_)
      known += (known.empty() ? "" : ", ") + std::to_string(history.timeline().value);
    return Fail(Error(ErrorCode::kInvalidArgument,
                      fmt::format("timeline {} does not lead on from {}: as far as the history files at hand say",
                                  request_.timeline->value, Quoted(image_.name())))
                    .WithHint("timelines of this backup: " + known));
  }

  // A timeline of which there is a history file and no WAL yet ends where it began, on the one before: the server has
  // to be told that one, because it would read on in its files.
  Result<ScannedWal> ScanAlong(const TimelineHistory& history) {
    timeline_ = history.timeline();
    PGS_ASSIGN(auto scanned, ScanWal(inventory_, facts_, history, target_, consistent_at_));
    const auto& spans = history.spans();
    const bool at_fork = spans.size() > 1 && !scanned.stop && scanned.gap.empty() &&
                         scanned.end == spans.back().begin && timeline_ != facts_.timeline;
    if (!at_fork) return scanned;
    PGS_ASSIGN(const auto parent, inventory_.History(spans[spans.size() - 2].timeline));
    timeline_ = parent.timeline();
    const pgdata::RecoveryTarget fork{.kind = Kind::kLsn, .time = {}, .lsn = scanned.end, .point = {}};
    PGS_ASSIGN(auto on_parent, ScanWal(inventory_, facts_, parent, fork, consistent_at_));
    on_parent.met = scanned.met;
    return on_parent;
  }

  Status CheckReached(const ScannedWal& scanned, const TimelineHistory& history) const {
    const bool too_early = scanned.met && scanned.end < scanned.consistent_at;
    const bool before_it =
        target_.kind == Kind::kTime && scanned.consistent_time && target_.time < *scanned.consistent_time;
    if (too_early || before_it) return Fail(TooEarly(scanned));
    if (scanned.end < scanned.consistent_at) return Fail(MissingOnTheWay(scanned, "the end of the backup"));
    if (scanned.met || target_.kind == Kind::kLatest) return {};
    if (target_.kind == Kind::kLsn && target_.lsn <= scanned.end) return {};
    if (!scanned.gap.empty()) return Fail(MissingOnTheWay(scanned, Quoted(request_.at)));
    switch (target_.kind) {
      case Kind::kLsn:
        return Fail(
            Error(ErrorCode::kMissingWal, fmt::format("{} is not reached: {}", Quoted(request_.at), EndOf(scanned)))
                .WithHint("name more WAL with --wal DIR, or ask for an earlier moment or for latest"));
      case Kind::kTransaction:
      case Kind::kRestorePoint:
        return Fail(NotFound(scanned, history));
      default:
        return {};  // nothing happened until then: all there is is replayed
    }
  }

  [[nodiscard]] Error TooEarly(const ScannedWal& scanned) const {
    std::string earliest = "lsn:" + scanned.consistent_at.ToString();
    if (scanned.consistent_time) earliest = pgdata::FormatExactly(*scanned.consistent_time) + " (" + earliest + ')';
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("{} is before the end of the backup {}: its earliest moment is {}", Quoted(request_.at),
                             Quoted(image_.name()), earliest))
        .WithHint("name a backup that ended earlier, or ask for a later moment");
  }

  [[nodiscard]] static std::string EndOf(const ScannedWal& scanned) {
    std::string text = "the WAL at hand ends at " + scanned.end.ToString();
    if (!scanned.last_transaction) return text + ", with no transaction";
    return text + ", with a last transaction of " + pgdata::FormatExactly(*scanned.last_transaction);
  }

  [[nodiscard]] static Error MissingOnTheWay(const ScannedWal& scanned, const std::string& where) {
    const std::string why = scanned.gap.empty() ? EndOf(scanned) : scanned.gap + "; before that, " + EndOf(scanned);
    return Error(ErrorCode::kMissingWal, where + " is not reached: " + why)
        .WithHint(
            "name the directory with the missing WAL with --wal DIR, or a later backup, or ask for an earlier moment");
  }

  [[nodiscard]] Error NotFound(const ScannedWal& scanned, const TimelineHistory& searched) const {
    const std::string what = target_.kind == Kind::kTransaction
                                 ? "transaction " + std::to_string(target_.xid) + " does not end"
                                 : "there is no restore point " + Quoted(target_.point);
    Error error(ErrorCode::kNotFound,
                fmt::format("{} between the beginning of the backup ({}) and the end of timeline {}: {}", what,
                            facts_.redo.ToString(), searched.timeline().value, EndOf(scanned)));
    for (const auto& history : histories_) {
      if (request_.timeline || history.timeline() == searched.timeline()) continue;
      const auto elsewhere = ScanWal(inventory_, facts_, history, target_, consistent_at_);
      if (!elsewhere || !elsewhere->met) continue;
      return std::move(error).WithHint(fmt::format("it is on timeline {0}: --timeline {0}", history.timeline().value));
    }
    return std::move(error).WithHint("it may be before this backup, or in WAL that --wal DIR could name");
  }

  // A failover leaves the old timeline's last segment behind; more than that is a server that went on.
  [[nodiscard]] bool WentOnBehind(TimelineId timeline, Lsn parting) const {
    const auto size = facts_.control.wal_segment_size;
    const auto names = inventory_.Segments();
    return std::ranges::any_of(names, [&](const std::string& name) {
      const auto segment = pgdata::ParseSegmentName(name, size);
      return segment && segment->timeline == timeline && segment->number > pgdata::SegmentNumber(parting, size);
    });
  }

  // Where the chosen history ends at the parting and nothing was found, what was asked for may be on the other one.
  void WarnOfOtherTimelines(const TimelineHistory& chosen, const ScannedWal& scanned,
                            std::vector<std::string>& warnings) const {
    if (request_.timeline) return;
    for (const auto& other : left_before_) {
      const auto parting = PartingOf(chosen, other);
      warnings.push_back(fmt::format(
          "timeline {} left at {}, before the end of this backup, and is not reached from it: name an earlier backup",
          other.timeline().value, parting ? parting->ToString() : "an unknown place"));
    }
    for (const auto& other : histories_) {
      const auto parting = PartingOf(chosen, other);
      if (!parting || scanned.end < *parting || (scanned.end == *parting && scanned.met)) continue;
      if (!WentOnBehind(other.timeline(), *parting)) continue;
      warnings.push_back(fmt::format("this is timeline {0}; timeline {1} went on by itself after {2}: --timeline {1}",
                                     chosen.timeline().value, other.timeline().value, parting->ToString()));
    }
  }

  [[nodiscard]] std::string Describe(const ScannedWal& scanned) const {
    const std::string place = fmt::format("timeline {}, {}", timeline_.value, scanned.end.ToString());
    if (!scanned.met) {
      return fmt::format(
          "the end of the WAL ({}{})", place,
          scanned.last_transaction ? ", last transaction " + pgdata::FormatExactly(*scanned.last_transaction) : "");
    }
    const std::string asked = target_.kind == Kind::kTime ? pgdata::FormatExactly(target_.time) : request_.at;
    return fmt::format("{} ({})", asked, place);
  }

  const image::Image& image_;
  const ClusterFacts& facts_;
  const WalInventory& inventory_;
  const MomentRequest& request_;
  pgdata::RecoveryTarget target_;
  Lsn consistent_at_;
  std::vector<TimelineHistory> left_before_;  // those that grew from the backup's timeline before its end
  std::vector<TimelineHistory> histories_;    // the oldest timeline first; never empty after FindHistories
  TimelineId timeline_;                       // that the server is told
};

}  // namespace

std::string ClusterZone(const image::Image& image) {
  const auto configuration = ReadSourceConfiguration(image);
  const auto zone = configuration.settings.find("timezone");
  return zone == configuration.settings.end() ? std::string() : zone->second;
}

Result<Moment> FindMoment(const image::Image& image, const ClusterFacts& facts, const WalInventory& inventory,
                          std::optional<Lsn> consistent_at, const MomentRequest& request) {
  return Search(image, facts, inventory, request).Run(consistent_at);
}

}  // namespace pgstrata::branch
