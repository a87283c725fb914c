// Invariants:
//   - pgstrata.json is there exactly when everything that it speaks of is there and durable: it is written last and
//     removed first.
//   - Nothing is removed but names that this program gives.
#include "branch/branch/diff_directory.h"

#include <unistd.h>

#include <algorithm>
#include <optional>

#include "foundation/base/text.h"
#include "foundation/codec/json.h"
#include "foundation/codec/sha256.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "postgres/pgdata/control_file.h"
#include "volume/fuse/mount.h"

namespace pgstrata::branch {
namespace {

using codec::Json;

constexpr const char* kFormat = "pgstrata-diff";
constexpr uint64_t kVersion = 2;
constexpr const char* kRecordFile = "pgstrata.json";
constexpr const char* kNewRecordFile = "pgstrata.json.new";  // io::ReplaceFile's
constexpr const char* kLockFile = "lock";
constexpr const char* kDirtyFile = "dirty";
constexpr const char* kNewDirtyFile = "dirty.new";

bool IsOurs(std::string_view name) {
  return name == kRecordFile || name == kNewRecordFile || name == kNewDirtyFile || name == kLockFile ||
         name == "control" || name == "worker.log" || name == kDirtyFile || name == kPassingWal ||
         name.starts_with("layer-");
}

Json ToJson(const DiffRecord& record) {
  Json json;
  json["format"] = kFormat;
  json["version"] = kVersion;
  Json& source = json["source"];
  source["given"] = record.origin.given;
  source["name"] = record.origin.name;
  source["path"] = record.origin.path;
  source["wal"] = record.origin.wal;
  source["chain"] = record.origin.chain;
  source["cipher_pass_file"] = record.origin.cipher_pass_file;
  source["system_identifier"] = std::to_string(record.origin.system_identifier);
  source["major_version"] = record.origin.major_version;
  source["pg_control_sha256"] = record.origin.control_file;
  if (!record.at.empty()) json["at"] = record.at;
  json["user"] = record.user;
  json["wal_files"] = record.wal_files;
  json["layers"] = record.layers;
  json["no_wal"] = record.no_wal;
  return json;
}

// Members are checked before they are believed: `ok` is false for good once one is not what it has to be.
class RecordReader {
 public:
  std::string Text(const Json& object, const char* name) {
    const auto member = object.find(name);
    ok_ = ok_ && member != object.end() && member->is_string();
    return ok_ ? member->get<std::string>() : std::string();
  }
  std::vector<std::string> Texts(const Json& object, const char* name) {
    const auto member = object.find(name);
    ok_ = ok_ && member != object.end() && member->is_array() &&
          std::ranges::all_of(*member, [](const Json& element) { return element.is_string(); });
    return ok_ ? member->get<std::vector<std::string>>() : std::vector<std::string>();
  }
  uint64_t Number(const Json& object, const char* name) {
    const auto member = object.find(name);
    ok_ = ok_ && member != object.end() && member->is_number_unsigned();
    return ok_ ? member->get<uint64_t>() : 0;
  }
  bool Truth(const Json& object, const char* name) {
    const auto member = object.find(name);
    ok_ = ok_ && member != object.end() && member->is_boolean();
    return ok_ && member->get<bool>();
  }
  [[nodiscard]] bool ok() const { return ok_; }

 private:
  bool ok_ = true;
};

void ReadSinceVersion2(RecordReader& reader, const Json& json, const Json& source, uint64_t version,
                       DiffRecord& record) {
  if (version < 2) {
    record.origin.name = record.origin.path;
    return;
  }
  record.origin.name = reader.Text(source, "name");
  record.origin.chain = reader.Texts(source, "chain");
  record.origin.cipher_pass_file = reader.Text(source, "cipher_pass_file");
  record.no_wal = reader.Truth(json, "no_wal");
}

Result<DiffRecord> ParseRecord(const std::string& text, const std::string& path) {
  const auto damaged = [&] { return Fail(ErrorCode::kCorrupt, Quoted(path) + " is damaged"); };
  const auto json = codec::ParseJson(text);
  RecordReader reader;
  if (!json || !json->is_object() || reader.Text(*json, "format") != kFormat) return damaged();
  const uint64_t version = reader.Number(*json, "version");
  if (reader.ok() && (version < 1 || version > kVersion)) {
    return Fail(Error(ErrorCode::kUnsupported, Quoted(path) + " is of version " + std::to_string(version) +
                                                   "; this program knows versions 1 to " + std::to_string(kVersion))
                    .WithHint("use the pgstrata that made it, or a newer one"));
  }
  const auto source = json->find("source");
  if (source == json->end() || !source->is_object()) return damaged();
  DiffRecord record;
  record.origin.given = reader.Text(*source, "given");
  record.origin.path = reader.Text(*source, "path");
  record.origin.wal = reader.Texts(*source, "wal");
  const auto identifier = ParseDecimal(reader.Text(*source, "system_identifier"));
  record.origin.system_identifier = identifier.value_or(0);
  record.origin.major_version = static_cast<int>(reader.Number(*source, "major_version"));
  record.origin.control_file = reader.Text(*source, "pg_control_sha256");
  if (json->contains("at")) record.at = reader.Text(*json, "at");
  record.user = reader.Text(*json, "user");
  record.wal_files = reader.Texts(*json, "wal_files");
  record.layers = reader.Texts(*json, "layers");
  ReadSinceVersion2(reader, *json, *source, version, record);
  const bool layers_are_names = std::ranges::all_of(
      record.layers, [](const std::string& layer) { return layer.starts_with("layer-") && !layer.contains('/'); });
  if (!reader.ok() || !identifier || record.layers.empty() || !layers_are_names) return damaged();
  return record;
}

// Nothing where there is no record.
Result<std::optional<DiffRecord>> TryReadRecord(const std::string& directory) {
  const std::string path = JoinPath(directory, kRecordFile);
  const auto text = io::ReadWholeFile(path);
  if (!text && text.error().code() == ErrorCode::kNotFound) return std::nullopt;
  PGS_TRY(text);
  return ParseRecord(*text, path);
}

// What is left of a directory that was never whole.
Status RemoveUnfinished(const std::string& path) {
  PGS_ASSIGN(const auto names, io::ListDirectory(path));
  for (const auto& name : names) {
    if (name != kLockFile) PGS_TRY(io::RemoveTree(JoinPath(path, name)));
  }
  return {};
}

Status RequireOurs(const std::string& path) {
  PGS_ASSIGN(const auto names, io::ListDirectory(path));
  const auto foreign = std::ranges::find_if_not(names, IsOurs);
  if (foreign == names.end()) return {};
  return Fail(Error(ErrorCode::kAlreadyExists,
                    Quoted(path) + " is neither empty nor a diff directory: it holds " + Quoted(*foreign))
                  .WithHint("name a directory that is empty or does not exist yet"));
}

Result<io::FileLock> Lock(const std::string& path) {
  auto lock = io::FileLock::TryAcquire(JoinPath(path, kLockFile));
  if (lock && !lock->StillAt(JoinPath(path, kLockFile))) {
    return Fail(ErrorCode::kBusy, Quoted(path) + " is being removed by another process");
  }
  if (lock || lock.error().code() != ErrorCode::kBusy) return lock;
  const auto mounts = fuse::ListMounts();
  const auto mount = mounts ? std::ranges::find(*mounts, path, &fuse::MountEntry::source) : mounts->end();
  if (!mounts || mount == mounts->end()) {
    return Fail(ErrorCode::kBusy, Quoted(path) + " is in use by another process");
  }
  return Fail(Error(ErrorCode::kBusy, Quoted(path) + " is in use: it is mounted at " + Quoted(mount->mountpoint))
                  .WithHint("pgstrata unmount " + mount->mountpoint));
}

Result<io::FileLock> LockForRemoval(const std::string& path) {
  PGS_ASSIGN(const auto names, io::ListDirectory(path));
  if (std::ranges::find(names, kLockFile) == names.end()) {
    return Fail(ErrorCode::kNotFound, Quoted(path) + " is not a diff directory");
  }
  PGS_TRY(RequireOurs(path));
  PGS_ASSIGN(auto lock, Lock(path));
  PGS_ASSIGN(const auto mounts, fuse::ListMounts());
  const auto mount = std::ranges::find(mounts, path, &fuse::MountEntry::source);
  if (mount == mounts.end()) return lock;
  return Fail(Error(ErrorCode::kBusy,
                    Quoted(path) + " is mounted at " + Quoted(mount->mountpoint) + " by a process that has died")
                  .WithHint("pgstrata unmount --force " + mount->mountpoint));
}

}  // namespace

Result<DiffOrigin> DescribeOrigin(const image::Image& image, const ClusterFacts& facts) {
  PGS_ASSIGN(const std::string control, image::ReadSmallFile(image, pgdata::kControlFilePath));
  return DiffOrigin{.system_identifier = facts.control.system_identifier,
                    .major_version = facts.major_version,
                    .control_file = codec::ToHex(codec::Sha256::Of(AsBytes(control)))};
}

Status CheckSameOrigin(const DiffOrigin& made_for, const DiffOrigin& now, bool moved, const std::string& directory) {
  const auto refuse = [&](const std::string& difference, const std::string& hint) {
    return Fail(Error(ErrorCode::kInvalidArgument,
                      Quoted(directory) + " was made for another source, " + Quoted(made_for.path) + ": " + difference)
                    .WithHint(hint));
  };
  const std::string another = "name that source, or another --diff-dir";
  if (made_for.system_identifier != now.system_identifier) {
    return refuse("the system identifier was " + std::to_string(made_for.system_identifier) + ", that of " +
                      Quoted(now.path) + " is " + std::to_string(now.system_identifier),
                  another);
  }
  if (made_for.control_file != now.control_file) {
    const bool same_place = made_for.path == now.path;
    return refuse(same_place ? "its global/pg_control has changed since: a server was started on it, or another backup "
                               "of the same cluster is in its place"
                             : "global/pg_control of " + Quoted(now.path) + " has other contents",
                  same_place ? "the changes fit the backup as it was, and nothing else" : another);
  }
  if (made_for.path != now.path && !moved) {
    return refuse("the same backup seems to be at " + Quoted(now.path), "if it was moved there, say so with --moved");
  }
  if (made_for.wal != now.wal) {
    return refuse("it was mounted with other --wal directories", "give the same ones, or none");
  }
  const bool chain_differs = !made_for.chain.empty() && !now.chain.empty() && made_for.chain != now.chain;
  if (chain_differs && !moved) return refuse("it was mounted with another --chain", "give the same one, or none");
  return {};
}

Result<DiffDirectory> DiffDirectory::Enter(const std::string& path) {
  DiffDirectory directory;
  directory.made_ = !io::Exists(path);
  PGS_TRY(io::MakeDirectories(path));
  PGS_ASSIGN(directory.path_, io::ResolvePath(path));
  PGS_TRY(RequireOurs(directory.path_));
  PGS_ASSIGN(directory.lock_, Lock(directory.path_));
  PGS_ASSIGN(auto record, TryReadRecord(directory.path_));
  directory.is_new_ = !record;
  if (record) directory.record_ = *std::move(record);
  if (directory.is_new_) PGS_TRY(RemoveUnfinished(directory.path_));
  return directory;
}

Status DiffDirectory::Publish(const DiffRecord& record) {
  PGS_TRY(io::ReplaceFile(File(kRecordFile), codec::FormatJson(ToJson(record), 2) + '\n'));
  record_ = record;
  return {};
}

Status DiffDirectory::MarkDirty() {
  return io::ReplaceFile(File(kDirtyFile), "mounted with --perf-unsafe, and not unmounted yet\n");
}

bool DiffDirectory::is_dirty() const { return io::Exists(File(kDirtyFile)); }

Status ClearDirtyMark(const std::string& path) {
  const std::string mark = JoinPath(path, kDirtyFile);
  if (!io::Exists(mark)) return {};
  PGS_TRY(io::RemoveFile(mark));
  return io::SyncDirectory(path);
}

Status DiffDirectory::Abandon() {
  if (!is_new_) return {};
  PGS_TRY(io::RemoveTree(File(kRecordFile)));
  PGS_TRY(RemoveUnfinished(path_));
  PGS_TRY(io::RemoveTree(File(kLockFile)));
  if (made_ && ::rmdir(path_.c_str()) != 0) return FailErrno("could not remove " + Quoted(path_));
  return {};
}

std::string DiffDirectory::File(std::string_view name) const { return JoinPath(path_, name); }

std::vector<std::string> DiffDirectory::LayerPaths(const DiffRecord& record) const {
  std::vector<std::string> paths;
  paths.reserve(record.layers.size());
  for (const auto& layer : record.layers) paths.push_back(File(layer));
  return paths;
}

Result<DiffRecord> ReadDiffRecord(const std::string& path) {
  PGS_ASSIGN(auto record, TryReadRecord(path));
  if (!record) return Fail(ErrorCode::kNotFound, Quoted(path) + " is not a diff directory");
  return *std::move(record);
}

Status CheckRemovable(const std::string& path) {
  PGS_TRY(LockForRemoval(path));
  return {};
}

Status RemoveDiffDirectory(const std::string& path) {
  PGS_ASSIGN(const std::string resolved, io::ResolvePath(path));
  PGS_ASSIGN(const io::FileLock lock, LockForRemoval(resolved));
  PGS_TRY(io::RemoveTree(JoinPath(resolved, kRecordFile)));
  PGS_TRY(io::SyncDirectory(resolved));
  PGS_TRY(RemoveUnfinished(resolved));
  PGS_TRY(io::RemoveTree(JoinPath(resolved, kLockFile)));
  static_cast<void>(::rmdir(resolved.c_str()));  // it may be a mountpoint, or not ours to remove
  return {};
}

}  // namespace pgstrata::branch
