#include "catalog/pgbackrest/repository.h"

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

#include "catalog/pgbackrest/archive.h"
#include "catalog/pgbackrest/labels.h"
#include "foundation/base/log.h"
#include "foundation/base/text.h"
#include "foundation/codec/passphrase_cipher.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"

namespace pgstrata::pgbackrest {
namespace {

constexpr uint64_t kLargestInfo = 4ULL << 30;
constexpr std::string_view kEncrypted = "Salted__";

std::string BackupDirectory(const std::string& stanza) { return "backup/" + stanza; }

Result<std::string> ReadOpen(const std::string& path, const std::string& passphrase) {
  PGS_ASSIGN(std::string text, io::ReadWholeFile(path, kLargestInfo));
  const bool is_encrypted = text.starts_with(kEncrypted);
  if (!is_encrypted) return text;
  if (passphrase.empty()) {
    return Fail(Error(ErrorCode::kPermission, Quoted(path) + " is encrypted, and no passphrase is given")
                    .WithHint("set PGBACKREST_REPO1_CIPHER_PASS, or name a file that holds the passphrase"));
  }
  auto plain = codec::Decrypt(AsBytes(text), passphrase, codec::SaltHeader::kMagic);
  if (!plain) return Fail(std::move(plain).error().Wrap(Quoted(path)));
  return std::string(AsText(*plain));
}

template <typename T>
Result<T> ReadOne(const std::string& path, const std::string& passphrase, Result<T> (*parse)(std::string_view)) {
  PGS_ASSIGN(const std::string text, ReadOpen(path, passphrase));
  auto parsed = parse(text);
  if (parsed) return parsed;
  auto why = std::move(parsed).error().Wrap(Quoted(path));
  return Fail(passphrase.empty() ? std::move(why)
                                 : std::move(why).WithHint("is the passphrase that of the repository?"));
}

// Each of these files has a copy beside it, which is taken where the first cannot be used.
template <typename T>
Result<T> ReadWithCopy(const std::string& path, const std::string& passphrase, Result<T> (*parse)(std::string_view)) {
  auto first = ReadOne(path, passphrase, parse);
  if (first || first.error().code() == ErrorCode::kPermission) return first;
  auto copy = ReadOne(path + ".copy", passphrase, parse);
  if (!copy) return first;
  log::Warning("{}; its copy is used", first.error().message());
  return copy;
}

}  // namespace

Repository::Repository(std::string root, std::string stanza, std::string passphrase, BackupInfo info)
    : root_(std::move(root)), stanza_(std::move(stanza)), passphrase_(std::move(passphrase)), info_(std::move(info)) {}

Result<bool> Repository::IsEncrypted(const std::string& root, const std::string& stanza) {
  const std::string path = JoinPath(root, BackupDirectory(stanza) + "/backup.info");
  Error missing(ErrorCode::kNotFound, "");
  for (const auto& name : {path, path + ".copy"}) {
    const auto file = io::File::Open(name, O_RDONLY);
    if (!file) {
      if (missing.message().empty()) missing = file.error();
      continue;
    }
    std::array<std::byte, kEncrypted.size()> head{};
    PGS_ASSIGN(const size_t count, file->ReadAt(0, head));
    return AsText(ByteView(head).first(count)) == kEncrypted;
  }
  return Fail(std::move(missing));
}

Result<std::unique_ptr<Repository>> Repository::Open(const std::string& root, const std::string& stanza,
                                                     const std::string& passphrase) {
  const std::string directory = JoinPath(root, BackupDirectory(stanza));
  auto info = ReadWithCopy(directory + "/backup.info", passphrase, ParseBackupInfo);
  if (!info) {
    if (info.error().code() != ErrorCode::kNotFound) return Fail(std::move(info).error());
    return Fail(ErrorCode::kNotFound, "the pgBackRest repository " + Quoted(root) + " has no stanza " + Quoted(stanza) +
                                          ": there is no backup.info in " + Quoted(directory));
  }
  return std::unique_ptr<Repository>(new Repository(root, stanza, passphrase, *std::move(info)));
}

const BackupRecord* Repository::Latest() const {
  const auto latest = std::ranges::max_element(
      info_.backups, {}, [](const BackupRecord& backup) { return std::tie(backup.stop_time, backup.label); });
  return latest == info_.backups.end() ? nullptr : &*latest;
}

std::unexpected<Error> Repository::NoSuchBackup(const std::string& label) const {
  std::string there;
  for (const auto& backup : info_.backups) there += (there.empty() ? "" : ", ") + backup.label;
  return Fail(Error(ErrorCode::kNotFound,
                    "the stanza " + Quoted(stanza_) + " of " + Quoted(root_) + " has no backup " + Quoted(label))
                  .WithHint(there.empty() ? "it has none at all" : "it has " + there));
}

Result<std::unique_ptr<BackupImage>> Repository::OpenBackup(const std::string& label,
                                                            std::shared_ptr<image::DecodedCache> cache) const {
  if (std::ranges::find(info_.backups, label, &BackupRecord::label) == info_.backups.end()) return NoSuchBackup(label);
  const std::string path = JoinPath(root_, BackupDirectory(stanza_) + '/' + label + "/backup.manifest");
  auto manifest = ReadWithCopy(path, info_.passphrase, ParseManifest);
  if (!manifest) return Fail(std::move(manifest).error().Wrap("backup " + label));
  if (manifest->label != label) {
    return Fail(ErrorCode::kCorrupt, Quoted(path) + " is of another backup: " + manifest->label);
  }
  auto content = std::make_shared<const StoredContent>(*std::move(manifest), root_, stanza_);
  return BackupImage::Make("pgbackrest:" + JoinPath(JoinPath(root_, stanza_), label), std::move(content),
                           std::move(cache));
}

std::vector<Error> Repository::CheckLists(const std::string& label) const {
  std::vector<Error> problems;
  const auto check = [&](const std::string& path, const std::string& passphrase, auto parse) {
    for (const auto& name : {path, path + ".copy"}) {
      if (name != path && !io::Exists(name)) continue;
      const auto read = ReadOne(name, passphrase, parse);
      if (!read) problems.push_back(read.error());
    }
  };
  const std::string backups = JoinPath(root_, BackupDirectory(stanza_));
  check(JoinPath(backups, "backup.info"), passphrase_, ParseBackupInfo);
  check(JoinPath(backups, label + "/backup.manifest"), info_.passphrase, ParseManifest);
  const std::string archive = JoinPath(root_, "archive/" + stanza_);
  if (io::Exists(archive)) check(JoinPath(archive, "archive.info"), passphrase_, ParseArchiveInfo);
  return problems;
}

Result<std::unique_ptr<image::WalArchive>> Repository::OpenArchive(const Manifest& manifest) const {
  const std::string directory = JoinPath(root_, "archive/" + stanza_);
  const auto info = ReadWithCopy(directory + "/archive.info", passphrase_, ParseArchiveInfo);
  if (!info) {
    if (info.error().code() == ErrorCode::kNotFound) return nullptr;
    return Fail(info.error());
  }
  std::vector<std::string> archives;
  for (const auto& [id, cluster] : info->history) {
    if (cluster.system_identifier != manifest.system_identifier || cluster.version != manifest.cluster_version)
      continue;
    std::string archive = cluster.version + '-' + std::to_string(id);
    if (io::Exists(JoinPath(directory, archive))) archives.push_back("archive/" + stanza_ + '/' + archive);
  }
  if (archives.empty()) return nullptr;
  return MakeArchive(root_, std::move(archives), info->passphrase);
}

}  // namespace pgstrata::pgbackrest
