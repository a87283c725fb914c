// Base backups that lie in one directory.
#include <algorithm>
#include <utility>

#include "backup/image/image.h"
#include "backup/image/tar_image.h"
#include "backup/source/snapshot_kinds.h"
#include "catalog/incremental/backup_files.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"

namespace pgstrata::source {
namespace {

std::string NameOf(const std::string& path) { return std::string(SplitLast(path).second); }

using Opened = Result<std::unique_ptr<image::Image>>;

// Whether the archives of a backup in tar format have to be decoded before they are read.
bool IsCompressed(const Opened& image, const std::string& path) {
  return !image && image.error().code() == ErrorCode::kUnsupported && image::HoldsTarBackup(path);
}

// Of all files, as they lie there.
std::optional<uint64_t> SizeOf(const Opened& image) {
  if (!image) return std::nullopt;
  uint64_t bytes = 0;
  const auto walked = image::Walk(**image, "", [&bytes](const std::string&, const image::Entry& entry) -> Status {
    if (entry.kind == image::EntryKind::kFile) bytes += entry.size;
    return {};
  });
  return walked ? std::optional(bytes) : std::nullopt;
}

std::optional<Error> ChainProblemOf(const incremental::ListedBackup& backup,
                                    const std::vector<incremental::ListedBackup>& listed) {
  const auto chain = incremental::FindChain(*backup.facts, backup.path, listed);
  return chain ? std::nullopt : std::optional(chain.error());
}

std::optional<Error> ProblemOf(const incremental::ListedBackup& backup, const Opened& image,
                               const std::vector<incremental::ListedBackup>& listed) {
  if (!backup.facts) return Error(ErrorCode::kInvalidArgument, backup.problem);
  if (auto problem = ChainProblemOf(backup, listed)) return problem;
  if (!image) return image.error();
  const std::string first = "pg_wal/" + backup.facts->label.start_wal_file;
  const auto wal = image::FollowLinks(**image, first);
  if (wal && (*image)->Stat(*wal)) return std::nullopt;
  return MissingWalError(backup.facts->label.start_wal_file, "its pg_wal");
}

// The one that it was taken against, or a backup that stands for that one.
std::string ParentOf(const incremental::ListedBackup& backup, const std::vector<incremental::ListedBackup>& listed) {
  if (!backup.facts || backup.facts->is_full()) return {};
  const auto parent = std::ranges::find_if(listed, [&](const incremental::ListedBackup& other) {
    return other.facts && &other != &backup && other.facts->Carries(*backup.facts);
  });
  return parent == listed.end() ? std::string() : NameOf(parent->path);
}

ListedSnapshot Snapshot(const incremental::ListedBackup& backup, const std::vector<incremental::ListedBackup>& listed) {
  ListedSnapshot snapshot{.name = NameOf(backup.path), .kind = {}, .source = backup.path};
  const auto image = incremental::OpenBackup(backup.path);
  const bool compressed = IsCompressed(image, backup.path);  // it opens by itself, and less is known here of it
  if (compressed) snapshot.status = "compressed";
  if (compressed && !backup.facts) return snapshot;
  snapshot.problem = compressed ? ChainProblemOf(backup, listed) : ProblemOf(backup, image, listed);
  snapshot.stored_bytes = SizeOf(image);
  if (!backup.facts) return snapshot;
  const auto& label = backup.facts->label;
  snapshot.kind = backup.facts->is_full() ? "full" : "incr";
  snapshot.parent = ParentOf(backup, listed);
  snapshot.start_time = label.start_time;
  snapshot.start_lsn = label.start.ToString();
  snapshot.timeline = label.start_timeline.value;
  if (backup.facts->major_version != 0) snapshot.version = std::to_string(backup.facts->major_version);
  snapshot.note = label.label;
  if (backup.facts->is_full()) snapshot.bytes = snapshot.stored_bytes;
  return snapshot;
}

}  // namespace

Result<SnapshotList> ListBaseBackupSnapshots(const std::string& path, const SourceRequest&) {
  SnapshotList list{.kind = "dir", .location = {}, .groups = {}};
  PGS_ASSIGN(list.location, io::ResolvePath(path));
  const bool is_one = io::IsRegularFile(list.location) || incremental::LooksLikeBackup(list.location);
  const std::string directory = is_one ? std::string(SplitLast(list.location).first) : list.location;
  PGS_ASSIGN(auto listed, incremental::ListBackups(directory.empty() ? "/" : directory));
  if (is_one && std::ranges::find(listed, list.location, &incremental::ListedBackup::path) == listed.end()) {
    listed.push_back(incremental::DescribeBackup(list.location));
  }
  if (listed.empty()) {
    return Fail(Error(ErrorCode::kInvalidArgument, "there is no backup in " + Quoted(path))
                    .WithHint("name a pg_probackup catalog, a pgBackRest repository, or a directory whose directories "
                              "are base backups"));
  }
  SnapshotGroup group{.name = {}, .location = directory, .problem = {}, .snapshots = {}};
  for (const auto& backup : listed) {
    if (!is_one || backup.path == list.location) group.snapshots.push_back(Snapshot(backup, listed));
  }
  std::ranges::stable_sort(group.snapshots, {}, &ListedSnapshot::start_time);
  OrderByChain(group.snapshots);
  list.groups.push_back(std::move(group));
  return list;
}

}  // namespace pgstrata::source
