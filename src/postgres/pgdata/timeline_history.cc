// Invariants: spans are in the order of time, the timelines rise, each span begins where the one before ends.
#include "postgres/pgdata/timeline_history.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "foundation/base/text.h"
#include "postgres/pgdata/wal_name.h"

namespace pgstrata::pgdata {
namespace {

constexpr std::string_view kBlank = " \t";

// Cuts the first word off `line`, blanks included.
std::string_view TakeWord(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(kBlank), line.size()));
  const std::string_view word = line.substr(0, line.find_first_of(kBlank));
  line.remove_prefix(word.size());
  return word;
}

// "1\t0/3000000\treason".
std::optional<TimelineSpan> ParseLine(std::string_view line, Lsn begin) {
  const auto timeline = ParseDecimal(TakeWord(line));
  const auto end = Lsn::Parse(TakeWord(line));
  if (!timeline || *timeline == 0 || *timeline > std::numeric_limits<uint32_t>::max() || !end) return std::nullopt;
  return TimelineSpan{{static_cast<uint32_t>(*timeline)}, begin, end, std::string(TrimWhitespace(line))};
}

}  // namespace

TimelineHistory::TimelineHistory(TimelineId timeline) : spans_{{timeline, Lsn{}, std::nullopt, ""}} {}

Result<TimelineHistory> TimelineHistory::Parse(TimelineId timeline, std::string_view text) {
  const auto corrupt = [&](std::string_view why) {
    return Fail(ErrorCode::kCorrupt, fmt::format("\"{}\": {}", HistoryName(timeline), why));
  };
  std::vector<TimelineSpan> spans;
  for (const std::string_view line : SplitLines(text)) {
    const std::string_view trimmed = TrimWhitespace(line);
    if (trimmed.empty() || trimmed.starts_with('#')) continue;
    const Lsn begin = spans.empty() ? Lsn{} : *spans.back().end;
    auto span = ParseLine(line, begin);
    if (!span) return corrupt(fmt::format("\"{}\" is no line of a timeline history", trimmed));
    if (!spans.empty() && span->timeline <= spans.back().timeline) return corrupt("timelines do not rise");
    if (*span->end < begin) return corrupt("a timeline ends before it begins");
    spans.push_back(*std::move(span));
  }
  if (!spans.empty() && timeline <= spans.back().timeline) return corrupt("it names a timeline that is not older");
  spans.push_back({timeline, spans.empty() ? Lsn{} : *spans.back().end, std::nullopt, ""});
  return TimelineHistory(std::move(spans));
}

TimelineId TimelineHistory::TimelineAt(Lsn lsn) const {
  for (const TimelineSpan& span : spans_) {
    if (!span.end || lsn < *span.end) return span.timeline;
  }
  return timeline();
}

bool TimelineHistory::Contains(TimelineId timeline) const {
  return std::ranges::any_of(spans_, [&](const TimelineSpan& span) { return span.timeline == timeline; });
}

bool TimelineHistory::Contains(TimelineId timeline, Lsn lsn) const {
  return std::ranges::any_of(spans_, [&](const TimelineSpan& span) {
    return span.timeline == timeline && span.begin <= lsn && (!span.end || lsn <= *span.end);
  });
}

}  // namespace pgstrata::pgdata
