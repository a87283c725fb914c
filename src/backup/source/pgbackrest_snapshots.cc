// The backups of a pgBackRest repository.
#include <algorithm>
#include <map>
#include <utility>

#include "backup/source/pgbackrest_source.h"
#include "backup/source/snapshot_kinds.h"
#include "catalog/pgbackrest/labels.h"
#include "catalog/pgbackrest/repository.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"

namespace pgstrata::source {
namespace {

using pgbackrest::BackupRecord;
using pgbackrest::Repository;

std::string Time(int64_t seconds) {
  return seconds == 0 ? std::string() : Timestamp{seconds * 1'000'000'000}.ToString();
}

// What its archive holds, by cluster: backups of one cluster share it.
class StanzaWal {
 public:
  explicit StanzaWal(const Repository& repository) : repository_(repository) {}

  std::optional<Error> ProblemOf(const BackupRecord& record, const pgbackrest::BackupImage& image) {
    if (!record.online || record.first_wal.empty() || image.Stat("pg_wal/" + record.first_wal)) return std::nullopt;
    const auto& segments = Of(record, image);
    if (!segments) return segments.error();
    const auto missing = segments->FirstMissing(record.first_wal, record.last_wal);
    if (missing.empty()) return std::nullopt;
    return MissingWalError(missing, "the archive of stanza " + repository_.stanza());
  }

 private:
  const Result<ArchivedSegments>& Of(const BackupRecord& record, const pgbackrest::BackupImage& image) {
    const auto known = by_cluster_.find(record.cluster_id);
    if (known != by_cluster_.end()) return known->second;
    return by_cluster_.emplace(record.cluster_id, Read(image)).first->second;
  }
  [[nodiscard]] Result<ArchivedSegments> Read(const pgbackrest::BackupImage& image) const {
    PGS_ASSIGN(const auto archive, repository_.OpenArchive(image.manifest()));
    if (!archive) return ArchivedSegments({});
    PGS_ASSIGN(const auto files, archive->List());
    return ArchivedSegments(files);
  }

  const Repository& repository_;
  std::map<uint32_t, Result<ArchivedSegments>> by_cluster_;
};

std::string LabelDirectory(const Repository& repository, const std::string& label) {
  return JoinPath(repository.root(), "backup/" + repository.stanza() + '/' + label);
}

std::optional<Error> ProblemOf(const Repository& repository, const BackupRecord& record, StanzaWal& wal) {
  const auto image = repository.OpenBackup(record.label, nullptr);
  if (!image) return image.error();
  for (const auto& label : (*image)->manifest().labels) {
    if (io::IsDirectory(LabelDirectory(repository, label))) continue;
    return Error(ErrorCode::kNotFound, "backup " + label + ", which holds a part of it, is missing");
  }
  return wal.ProblemOf(record, **image);
}

ListedSnapshot Snapshot(const Repository& repository, const BackupRecord& record) {
  ListedSnapshot snapshot{
      .name = record.label, .kind = record.type, .status = record.page_errors ? "page errors" : "ok"};
  snapshot.parent = record.prior;
  snapshot.start_time = Time(record.start_time);
  snapshot.end_time = Time(record.stop_time);
  snapshot.start_lsn = record.start_lsn;
  snapshot.stop_lsn = record.stop_lsn;
  snapshot.bytes = record.size;
  snapshot.stored_bytes = record.repository_delta_size;
  snapshot.source = "pgbackrest:" + JoinPath(JoinPath(repository.root(), repository.stanza()), record.label);
  return snapshot;
}

// Directories of backups that backup.info does not know: being made, broken off, or about to be removed.
void AddUnlisted(const Repository& repository, std::vector<ListedSnapshot>& snapshots) {
  const auto names = io::ListDirectory(JoinPath(repository.root(), "backup/" + repository.stanza()));
  for (const auto& name : names.value_or(std::vector<std::string>())) {
    const bool known = std::ranges::find(snapshots, name, &ListedSnapshot::name) != snapshots.end();
    if (known || !pgbackrest::IsBackupLabel(name) || !io::IsDirectory(LabelDirectory(repository, name))) continue;
    ListedSnapshot snapshot{.name = name, .kind = {}, .status = "not listed"};
    snapshot.source = "pgbackrest:" + JoinPath(JoinPath(repository.root(), repository.stanza()), name);
    snapshot.problem =
        Error(ErrorCode::kNotFound, "backup.info does not list it: it is being made, or its making was broken off");
    snapshots.push_back(std::move(snapshot));
  }
}

SnapshotGroup Group(const PgbackrestStanza& stanza) {
  SnapshotGroup group{.name = stanza.stanza,
                      .location = JoinPath(stanza.root, "backup/" + stanza.stanza),
                      .problem = {},
                      .snapshots = {}};
  if (!stanza.repository) {
    group.problem = stanza.repository.error();
    return group;
  }
  const Repository& repository = **stanza.repository;
  StanzaWal wal(repository);
  for (const auto& record : repository.backups()) {
    auto snapshot = Snapshot(repository, record);
    snapshot.problem = ProblemOf(repository, record, wal);
    group.snapshots.push_back(std::move(snapshot));
  }
  AddUnlisted(repository, group.snapshots);
  OrderByChain(group.snapshots);
  return group;
}

}  // namespace

Result<SnapshotList> ListPgbackrestSnapshots(const std::string& rest, const SourceRequest& request) {
  PGS_ASSIGN(const auto stanzas, FindPgbackrestStanzas(rest, request));
  SnapshotList list{.kind = "pgbackrest", .location = {}, .groups = {}};
  for (const auto& stanza : stanzas) {
    if (list.location.empty()) list.location = stanza.root;
    list.groups.push_back(Group(stanza));
  }
  // Of one alone its error is all there is to say.
  if (list.groups.size() == 1 && list.groups.front().problem) return Fail(*list.groups.front().problem);
  return list;
}

}  // namespace pgstrata::source
