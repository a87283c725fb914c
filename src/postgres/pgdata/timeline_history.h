// NNNNNNNN.history: which timelines a timeline grew from (src/backend/access/transam/timeline.c).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "foundation/base/error.h"
#include "foundation/base/types.h"

namespace pgstrata::pgdata {

// A timeline's part of a history: [begin, end). The last one has no end.
struct TimelineSpan {
  TimelineId timeline;
  Lsn begin;
  std::optional<Lsn> end;
  std::string reason;  // why it ended, in the words of the file; empty for the last
};

class TimelineHistory {
 public:
  // Timeline 1, or any timeline whose history file is not at hand: it alone, from LSN 0 on.
  explicit TimelineHistory(TimelineId timeline);
  // `text` is the history file of `timeline`. kCorrupt where it does not parse, or timelines do not rise.
  static Result<TimelineHistory> Parse(TimelineId timeline, std::string_view text);

  [[nodiscard]] TimelineId timeline() const { return spans_.back().timeline; }
  // Oldest first; never empty; each begins where the one before ends.
  [[nodiscard]] const std::vector<TimelineSpan>& spans() const { return spans_; }
  // The timeline that the byte at `lsn` belongs to.
  [[nodiscard]] TimelineId TimelineAt(Lsn lsn) const;
  [[nodiscard]] bool Contains(TimelineId timeline) const;
  // Whether a backup that reached `lsn` on `timeline` lies on this history.
  [[nodiscard]] bool Contains(TimelineId timeline, Lsn lsn) const;

 private:
  explicit TimelineHistory(std::vector<TimelineSpan> spans) : spans_(std::move(spans)) {}
  std::vector<TimelineSpan> spans_;
};

}  // namespace pgstrata::pgdata
