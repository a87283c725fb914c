// The "default" sections come after the entries that they are for, so what an entry leaves out is filled in at the end.
#include "catalog/pgbackrest/manifest.h"

#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <map>
#include <utility>

#include "catalog/pgbackrest/info_text.h"
#include "catalog/pgbackrest/json_reader.h"
#include "catalog/pgbackrest/labels.h"
#include "foundation/base/text.h"

namespace pgstrata::pgbackrest {
namespace {

constexpr uint64_t kBlockUnit = 8192;
constexpr uint32_t kDefaultBlockChecksum = 6;
constexpr uint32_t kLargestBlockChecksum = 16;
constexpr uint64_t kLargestBlock = 1ULL << 30;
constexpr uint64_t kLargestFile = 1ULL << 50;
constexpr uint32_t kUnset = std::numeric_limits<uint32_t>::max();

std::optional<codec::Sha1Digest> ParseDigest(std::string_view text) {
  codec::Sha1Digest digest;
  if (text.size() != digest.size() * 2) return std::nullopt;
  for (size_t i = 0; i < digest.size(); ++i) {
    const auto value = ParseHex(text.substr(i * 2, 2));
    if (!value) return std::nullopt;
    digest[i] = static_cast<std::byte>(*value);
  }
  return digest;
}

std::optional<uint32_t> ParseMode(std::string_view text) {
  uint32_t mode = 0;
  if (text.empty() || text.size() > 5) return std::nullopt;
  for (const char c : text) {
    if (c < '0' || c > '7') return std::nullopt;
    mode = mode * 8 + static_cast<uint32_t>(c - '0');
  }
  return mode & 07777U;
}

// A name that stays below the backup's own directory.
bool IsSafeName(std::string_view name) {
  if (name.contains('\0')) return false;
  return std::ranges::none_of(Split(name, '/'),
                              [](std::string_view part) { return part.empty() || part == "." || part == ".."; });
}

// What one entry says of its owner; a user or group that is not said is the default's.
struct PartialOwner {
  std::optional<std::string> user;
  std::optional<std::string> group;
};

// A name, or false for one that was unknown.
std::string OwnerName(JsonReader& json) {
  if (json.IsString()) return json.String();
  json.Skip();
  return {};
}

class ManifestReader {
 public:
  Result<Manifest> Read(std::string_view text) {
    PGS_TRY(VisitInfoText(text, [this](const InfoLine& line) -> Status {
      if (const auto read = sections_.find(line.section); read != sections_.end()) return (this->*read->second)(line);
      return {};
    }));
    PGS_TRY(Complete());
    return std::move(manifest_);
  }

 private:
  using ReadLine = Status (ManifestReader::*)(const InfoLine&);

  static std::unexpected<Error> BadLine(const InfoLine& line) {
    return Fail(ErrorCode::kCorrupt,
                "what [" + std::string(line.section) + "] says of " + Quoted(line.key) + " does not make sense");
  }

  Status ReadCipher(const InfoLine& line) {
    JsonReader json(line.value);
    if (line.key == "cipher-pass") manifest_.passphrase = json.String();
    return json.ok() ? Status() : BadLine(line);
  }

  Status ReadBackup(const InfoLine& line) {
    JsonReader json(line.value);
    if (line.key == "backup-label") manifest_.label = json.String();
    if (line.key == "backup-type") manifest_.type = json.String();
    if (line.key == "backup-prior") manifest_.prior = json.String();
    if (line.key == "backup-lsn-start") manifest_.start_lsn = json.String();
    if (line.key == "backup-lsn-stop") manifest_.stop_lsn = json.String();
    if (line.key == "backup-bundle-raw") manifest_.bundle_raw = json.Bool();
    if (line.key == "backup-timestamp-start") manifest_.start_time = static_cast<int64_t>(json.Unsigned() & kTimeMask);
    if (line.key == "backup-timestamp-stop") manifest_.stop_time = static_cast<int64_t>(json.Unsigned() & kTimeMask);
    if (line.key == "backup-reference") {
      const std::string labels = json.String();
      for (const auto label : Split(labels, ',')) manifest_.labels.emplace_back(label);
    }
    return json.ok() ? Status() : BadLine(line);
  }

  Status ReadCluster(const InfoLine& line) {
    JsonReader json(line.value);
    if (line.key == "db-id") manifest_.cluster_id = static_cast<uint32_t>(json.Unsigned());
    if (line.key == "db-system-id") manifest_.system_identifier = json.Unsigned();
    if (line.key == "db-version") manifest_.cluster_version = json.String();
    return json.ok() ? Status() : BadLine(line);
  }

  // Before there was a choice, "option-compress" meant gz; "option-compress-type" comes after it and overrules it.
  Status ReadOption(const InfoLine& line) {
    JsonReader json(line.value);
    if (line.key == "option-online") manifest_.online = json.Bool();
    if (line.key == "option-compress") manifest_.compress_type = json.Bool() ? CompressType::kGz : CompressType::kNone;
    if (line.key == "option-compress-type") {
      const std::string type = json.String();
      const auto known = CompressTypeByOption(type);
      if (!known) return Fail(ErrorCode::kUnsupported, "its compression " + Quoted(type) + " is unknown");
      manifest_.compress_type = *known;
    }
    return json.ok() ? Status() : BadLine(line);
  }

  static std::optional<CompressType> CompressTypeByOption(std::string_view type) {
    if (type == "none") return CompressType::kNone;
    const CompressType known = CompressTypeByName('.' + std::string(type));
    return known == CompressType::kNone ? std::nullopt : std::optional(known);
  }

  Status ReadFile(const InfoLine& line) {
    ManifestFile file{.name = std::string(line.key), .holder = kUnset, .mode = kUnset};
    PartialOwner owner;
    std::optional<uint64_t> stored_size;
    std::optional<uint64_t> size;
    JsonReader json(line.value);
    bool sound = IsSafeName(file.name);
    const auto digest = [&] {
      const auto parsed = ParseDigest(json.String());
      sound = sound && parsed;
      return parsed;
    };
    std::string key;
    for (json.BeginObject(); json.NextKey(key);) {
      if (key == "size") {
        size = json.Unsigned();
      } else if (key == "repo-size") {
        stored_size = json.Unsigned();
      } else if (key == "bni") {
        file.bundle = json.Unsigned();
      } else if (key == "bno") {
        file.bundle_offset = json.Unsigned();
      } else if (key == "bi") {
        file.block_size = std::min(json.Unsigned(), kLargestBlock) * kBlockUnit;
      } else if (key == "bic") {
        file.block_checksum_size = static_cast<uint32_t>(std::min<uint64_t>(json.Unsigned(), kUnset));
      } else if (key == "bim") {
        file.map_size = json.Unsigned();
      } else if (key == "checksum") {
        file.checksum = digest();
      } else if (key == "rck") {
        file.stored_checksum = digest();
      } else if (key == "checksum-page") {
        file.checksum_page = true;
        file.has_page_errors = !json.Bool();
      } else if (key == "reference") {
        file.holder = LabelIndex(json.String());
      } else if (key == "timestamp") {
        file.modified = static_cast<int64_t>(json.Unsigned() & kTimeMask);
      } else {
        ReadAccess(key, json, file.mode, owner, sound);
      }
    }
    if (file.block_size != 0 && file.block_checksum_size == 0) file.block_checksum_size = kDefaultBlockChecksum;
    if (!json.AtEnd() || !size || !sound) return BadLine(line);
    file.size = *size;
    file.stored_size = stored_size.value_or(*size);
    if (!HasPossibleNumbers(file)) return BadLine(line);
    manifest_.files.push_back(std::move(file));
    file_owners_.push_back(std::move(owner));
    return {};
  }

  // mode, user and group, which files and directories have.
  static void ReadAccess(std::string_view key, JsonReader& json, uint32_t& mode, PartialOwner& owner, bool& sound) {
    if (key == "mode") {
      const auto parsed = ParseMode(json.String());
      sound = sound && parsed;
      mode = parsed.value_or(0);
    } else if (key == "user") {
      owner.user = OwnerName(json);
    } else if (key == "group") {
      owner.group = OwnerName(json);
    } else {
      json.Skip();
    }
  }

  static bool HasPossibleNumbers(const ManifestFile& file) {
    if (file.size > kLargestFile || file.stored_size > kLargestFile || file.bundle_offset > kLargestFile) return false;
    if (file.map_size > file.stored_size) return false;
    return file.block_size <= kLargestBlock && file.block_checksum_size <= kLargestBlockChecksum;
  }

  Status ReadPath(const InfoLine& line) {
    ManifestPath path{.name = std::string(line.key), .mode = kUnset};
    PartialOwner owner;
    JsonReader json(line.value);
    bool sound = IsSafeName(path.name);
    std::string key;
    for (json.BeginObject(); json.NextKey(key);) ReadAccess(key, json, path.mode, owner, sound);
    if (!json.AtEnd() || !sound) return BadLine(line);
    manifest_.paths.push_back(std::move(path));
    path_owners_.push_back(std::move(owner));
    return {};
  }

  Status ReadLink(const InfoLine& line) {
    ManifestLink link{.name = std::string(line.key), .destination = {}};
    JsonReader json(line.value);
    std::string key;
    for (json.BeginObject(); json.NextKey(key);) {
      if (key == "destination") {
        link.destination = json.String();
      } else {
        json.Skip();
      }
    }
    if (!json.AtEnd() || !IsSafeName(link.name)) return BadLine(line);
    manifest_.links.push_back(std::move(link));
    return {};
  }

  Status ReadFileDefault(const InfoLine& line) { return ReadDefault(line, file_mode_, file_owner_); }
  Status ReadPathDefault(const InfoLine& line) { return ReadDefault(line, path_mode_, path_owner_); }
  static Status ReadDefault(const InfoLine& line, uint32_t& mode, PartialOwner& owner) {
    JsonReader json(line.value);
    bool sound = true;
    ReadAccess(line.key, json, mode, owner, sound);
    return json.AtEnd() && sound ? Status() : BadLine(line);
  }

  uint32_t LabelIndex(const std::string& label) {
    if (const auto known = label_indices_.find(label); known != label_indices_.end()) return known->second;
    const auto found = std::ranges::find(manifest_.labels, label);
    const auto index = static_cast<uint32_t>(found - manifest_.labels.begin());
    if (found == manifest_.labels.end()) manifest_.labels.push_back(label);
    label_indices_.emplace(label, index);
    return index;
  }

  uint32_t OwnerIndex(const PartialOwner& owner, const PartialOwner& fallback) {
    ManifestOwner whole{.user = owner.user.value_or(fallback.user.value_or("")),
                        .group = owner.group.value_or(fallback.group.value_or(""))};
    const auto found = std::ranges::find(manifest_.owners, whole);
    const auto index = static_cast<uint32_t>(found - manifest_.owners.begin());
    if (found == manifest_.owners.end()) manifest_.owners.push_back(std::move(whole));
    return index;
  }

  Status Complete() {
    if (!IsBackupLabel(manifest_.label)) return Fail(ErrorCode::kCorrupt, "it has no backup-label that is one");
    manifest_.own_label = LabelIndex(manifest_.label);
    for (const auto& label : manifest_.labels) {
      if (!IsBackupLabel(label)) return Fail(ErrorCode::kCorrupt, Quoted(label) + " in it is not the name of a backup");
    }
    for (size_t i = 0; i < manifest_.files.size(); ++i) {
      ManifestFile& file = manifest_.files[i];
      file.owner = OwnerIndex(file_owners_[i], file_owner_);
      if (file.mode == kUnset) file.mode = file_mode_;
      if (file.holder == kUnset) file.holder = manifest_.own_label;
    }
    for (size_t i = 0; i < manifest_.paths.size(); ++i) {
      ManifestPath& path = manifest_.paths[i];
      path.owner = OwnerIndex(path_owners_[i], path_owner_);
      if (path.mode == kUnset) path.mode = path_mode_;
    }
    return {};
  }

  static constexpr uint64_t kTimeMask = (1ULL << 33) - 1;  // more seconds than any clock has shown

  const std::map<std::string_view, ReadLine> sections_ = {
      {"cipher", &ManifestReader::ReadCipher},
      {"backup", &ManifestReader::ReadBackup},
      {"backup:db", &ManifestReader::ReadCluster},
      {"backup:option", &ManifestReader::ReadOption},
      {"target:file", &ManifestReader::ReadFile},
      {"target:path", &ManifestReader::ReadPath},
      {"target:link", &ManifestReader::ReadLink},
      {"target:file:default", &ManifestReader::ReadFileDefault},
      {"target:path:default", &ManifestReader::ReadPathDefault},
  };
  Manifest manifest_;
  std::vector<PartialOwner> file_owners_;
  std::vector<PartialOwner> path_owners_;
  PartialOwner file_owner_;
  PartialOwner path_owner_;
  uint32_t file_mode_ = 0600;
  uint32_t path_mode_ = 0700;
  std::map<std::string, uint32_t> label_indices_;
};

constexpr std::array<std::pair<CompressType, std::string_view>, 4> kSuffixes = {{{CompressType::kGz, ".gz"},
                                                                                 {CompressType::kBz2, ".bz2"},
                                                                                 {CompressType::kLz4, ".lz4"},
                                                                                 {CompressType::kZst, ".zst"}}};

}  // namespace

std::string_view SuffixOf(CompressType type) {
  const auto found = std::ranges::find(kSuffixes, type, &std::pair<CompressType, std::string_view>::first);
  return found == kSuffixes.end() ? std::string_view() : found->second;
}

CompressType CompressTypeByName(std::string_view name) {
  for (const auto& [type, suffix] : kSuffixes) {
    if (name.ends_with(suffix)) return type;
  }
  return CompressType::kNone;
}

codec::Compression CompressionOf(CompressType type, bool raw) {
  switch (type) {
    case CompressType::kGz:
      return raw ? codec::Compression::kZlib : codec::Compression::kGzip;
    case CompressType::kBz2:
      return codec::Compression::kBzip2;
    case CompressType::kLz4:
      return codec::Compression::kLz4;
    case CompressType::kZst:
      return codec::Compression::kZstd;
    case CompressType::kNone:
      break;
  }
  return codec::Compression::kNone;
}

Result<Manifest> ParseManifest(std::string_view text) { return ManifestReader().Read(text); }

}  // namespace pgstrata::pgbackrest
