#include "backup/source/snapshot_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "backup/source/recognise.h"
#include "backup/source/snapshot_kinds.h"
#include "backup/source/source_name.h"
#include "foundation/base/text.h"
#include "postgres/pgdata/wal_name.h"

namespace pgstrata::source {
namespace {

constexpr size_t kTimelineDigits = 8;

// "00000001" "00000000" "00000003": timeline, the upper and the lower half.
struct SegmentParts {
  std::string timeline;
  uint64_t upper = 0;
  uint64_t lower = 0;
};

std::optional<SegmentParts> PartsOf(const std::string& name) {
  if (!pgdata::LooksLikeSegmentName(name)) return std::nullopt;
  const auto upper = ParseHex(std::string_view(name).substr(kTimelineDigits, kTimelineDigits));
  const auto lower = ParseHex(std::string_view(name).substr(2 * kTimelineDigits));
  if (!upper || !lower) return std::nullopt;
  return SegmentParts{.timeline = name.substr(0, kTimelineDigits), .upper = *upper, .lower = *lower};
}

}  // namespace

ArchivedSegments::ArchivedSegments(const std::vector<image::WalFile>& files) {
  for (const auto& file : files) names_.push_back(file.name);
  std::ranges::sort(names_);
}

bool ArchivedSegments::Has(const std::string& name) const { return std::ranges::binary_search(names_, name); }

std::string ArchivedSegments::FirstMissing(const std::string& first, const std::string& last) const {
  for (const auto& name : {first, last}) {
    if (!name.empty() && !Has(name)) return name;
  }
  const auto from = PartsOf(first);
  const auto to = PartsOf(last);
  // Where the upper half changes depends on the size of segments, which nobody says here.
  if (!from || !to || from->timeline != to->timeline || from->upper != to->upper) return {};
  for (uint64_t lower = from->lower; lower < to->lower; ++lower) {
    std::string name = fmt::format("{}{:08X}{:08X}", from->timeline, from->upper, lower);
    if (!Has(name)) return name;
  }
  return {};
}

Error MissingWalError(const std::string& segment, const std::string& where) {
  return Error(ErrorCode::kMissingWal, "WAL segment " + segment + " is missing from " + where)
      .WithHint("name a directory that holds it with --wal DIR");
}

void OrderByChain(std::vector<ListedSnapshot>& snapshots) {
  std::vector<ListedSnapshot> ordered;
  std::vector<bool> done(snapshots.size());
  const std::function<void(size_t)> add = [&](size_t number) {
    if (done[number]) return;
    done[number] = true;
    ordered.push_back(snapshots[number]);
    for (size_t i = 0; i < snapshots.size(); ++i) {
      if (!done[i] && !snapshots[i].parent.empty() && snapshots[i].parent == snapshots[number].name) add(i);
    }
  };
  const auto is_there = [&](const std::string& name) {
    return std::ranges::find(snapshots, name, &ListedSnapshot::name) != snapshots.end();
  };
  for (size_t i = 0; i < snapshots.size(); ++i) {
    if (snapshots[i].parent.empty() || !is_there(snapshots[i].parent)) add(i);
  }
  for (size_t i = 0; i < snapshots.size(); ++i) add(i);  // what stands on itself in a circle
  snapshots = std::move(ordered);
}

Result<SnapshotList> ListSnapshots(const SourceRequest& request) {
  PGS_ASSIGN(SourceName name, ParseSourceName(request.source));
  if (name.kind == SourceKind::kDirectory) name.kind = Recognise(name.rest);
  switch (name.kind) {
    case SourceKind::kPgProbackup:
      return ListProbackupSnapshots(name.rest, request);
    case SourceKind::kPgbackrest:
      return ListPgbackrestSnapshots(name.rest, request);
    case SourceKind::kDirectory:
    case SourceKind::kTar:
      return ListBaseBackupSnapshots(name.rest, request);
    default:
      break;
  }
  return Fail(Error(ErrorCode::kUnsupported, Quoted(request.source) + " is not a catalog that this version lists")
                  .WithHint("name a pg_probackup catalog, a pgBackRest repository (pgbackrest:STANZA), or a directory "
                            "of base backups with a slash: \"./backups\""));
}

}  // namespace pgstrata::source
