#include "catalog/pgbackrest/info_files.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <optional>

#include "catalog/pgbackrest/info_text.h"
#include "catalog/pgbackrest/json_reader.h"
#include "catalog/pgbackrest/labels.h"
#include "foundation/base/text.h"

namespace pgstrata::pgbackrest {
namespace {

std::unexpected<Error> BadLine(const InfoLine& line) {
  return Fail(ErrorCode::kCorrupt,
              "what [" + std::string(line.section) + "] says of " + Quoted(line.key) + " does not make sense");
}

// A number that a signed time can hold; what is larger is no time.
int64_t Seconds(JsonReader& json) {
  const uint64_t value = json.Unsigned();
  return static_cast<int64_t>(std::min<uint64_t>(value, std::numeric_limits<int64_t>::max() / 1'000'000'000));
}

// backup.info says "db-system-id", archive.info calls the same "db-id".
Status AddCluster(const InfoLine& line, std::map<uint32_t, ClusterVersion>& history) {
  const auto id = ParseDecimal(line.key);
  if (!id || *id > std::numeric_limits<uint32_t>::max()) return BadLine(line);
  ClusterVersion cluster;
  JsonReader json(line.value);
  std::string key;
  for (json.BeginObject(); json.NextKey(key);) {
    if (key == "db-system-id" || key == "db-id") {
      cluster.system_identifier = json.Unsigned();
    } else if (key == "db-version") {
      cluster.version = json.String();
    } else {
      json.Skip();
    }
  }
  if (!json.AtEnd()) return BadLine(line);
  history.insert_or_assign(static_cast<uint32_t>(*id), std::move(cluster));
  return {};
}

using Reader = std::function<void(JsonReader&, BackupRecord&)>;

const std::map<std::string, Reader, std::less<>>& BackupFields() {
  static const std::map<std::string, Reader, std::less<>> kFields = {
      {"backup-type", [](JsonReader& json, BackupRecord& backup) { backup.type = json.String(); }},
      {"backup-prior", [](JsonReader& json, BackupRecord& backup) { backup.prior = json.String(); }},
      {"backup-reference",
       [](JsonReader& json, BackupRecord& backup) {
         for (json.BeginArray(); json.NextElement();) backup.references.push_back(json.String());
       }},
      {"backup-timestamp-start", [](JsonReader& json, BackupRecord& backup) { backup.start_time = Seconds(json); }},
      {"backup-timestamp-stop", [](JsonReader& json, BackupRecord& backup) { backup.stop_time = Seconds(json); }},
      {"backup-lsn-start", [](JsonReader& json, BackupRecord& backup) { backup.start_lsn = json.String(); }},
      {"backup-lsn-stop", [](JsonReader& json, BackupRecord& backup) { backup.stop_lsn = json.String(); }},
      {"backup-archive-start", [](JsonReader& json, BackupRecord& backup) { backup.first_wal = json.String(); }},
      {"backup-archive-stop", [](JsonReader& json, BackupRecord& backup) { backup.last_wal = json.String(); }},
      {"backup-info-size", [](JsonReader& json, BackupRecord& backup) { backup.size = json.Unsigned(); }},
      {"backup-info-size-delta", [](JsonReader& json, BackupRecord& backup) { backup.delta_size = json.Unsigned(); }},
      {"backup-info-repo-size",
       [](JsonReader& json, BackupRecord& backup) { backup.repository_size = json.Unsigned(); }},
      {"backup-info-repo-size-delta",
       [](JsonReader& json, BackupRecord& backup) { backup.repository_delta_size = json.Unsigned(); }},
      {"db-id",
       [](JsonReader& json, BackupRecord& backup) { backup.cluster_id = static_cast<uint32_t>(json.Unsigned()); }},
      {"option-online", [](JsonReader& json, BackupRecord& backup) { backup.online = json.Bool(); }},
      {"backup-error", [](JsonReader& json, BackupRecord& backup) { backup.page_errors = json.Bool(); }},
  };
  return kFields;
}

// A value that is null stands for one that is not there.
Status AddBackup(const InfoLine& line, std::vector<BackupRecord>& backups) {
  BackupRecord backup{.label = std::string(line.key)};
  JsonReader json(line.value);
  std::string key;
  for (json.BeginObject(); json.NextKey(key);) {
    const auto field = BackupFields().find(key);
    if (field == BackupFields().end() || json.IsNull()) {
      json.Skip();
    } else {
      field->second(json, backup);
    }
  }
  if (!json.AtEnd() || !IsBackupLabel(backup.label)) return BadLine(line);
  backups.push_back(std::move(backup));
  return {};
}

Status TakePassphrase(const InfoLine& line, std::string& passphrase) {
  if (line.key != "cipher-pass") return {};
  JsonReader json(line.value);
  passphrase = json.String();
  if (json.AtEnd() && !passphrase.empty()) return {};
  return Fail(ErrorCode::kCorrupt, "its cipher-pass does not make sense");
}

}  // namespace

Result<BackupInfo> ParseBackupInfo(std::string_view text) {
  BackupInfo info;
  PGS_TRY(VisitInfoText(text, [&](const InfoLine& line) -> Status {
    if (line.section == "cipher") return TakePassphrase(line, info.passphrase);
    if (line.section == "db:history") return AddCluster(line, info.history);
    if (line.section == "backup:current") return AddBackup(line, info.backups);
    return {};
  }));
  std::ranges::sort(info.backups, {}, &BackupRecord::label);
  return info;
}

Result<ArchiveInfo> ParseArchiveInfo(std::string_view text) {
  ArchiveInfo info;
  PGS_TRY(VisitInfoText(text, [&](const InfoLine& line) -> Status {
    if (line.section == "cipher") return TakePassphrase(line, info.passphrase);
    if (line.section == "db:history") return AddCluster(line, info.history);
    return {};
  }));
  return info;
}

}  // namespace pgstrata::pgbackrest
