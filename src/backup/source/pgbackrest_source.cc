#include "backup/source/pgbackrest_source.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "backup/source/choose.h"
#include "backup/source/request_cache.h"
#include "catalog/pgbackrest/configuration.h"
#include "catalog/pgbackrest/labels.h"
#include "catalog/pgbackrest/repository.h"
#include "foundation/base/log.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"

namespace pgstrata::source {
namespace {

using pgbackrest::ConfiguredRepository;
using pgbackrest::Repository;

constexpr uint64_t kLargestConfiguration = 16ULL << 20;
constexpr std::array<const char*, 2> kConfigurations = {"/etc/pgbackrest/pgbackrest.conf", "/etc/pgbackrest.conf"};
constexpr const char* kIncluded = "/etc/pgbackrest/conf.d";

std::string Variable(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? std::string() : value;
}

struct Place {
  std::string root;  // absolute, links resolved
  std::string stanza;
  std::string label;       // empty: the latest
  uint32_t number = 1;     // of the repository in the configuration
  std::string passphrase;  // what the configuration says; empty: nothing
};

// A copy of a repository may have lost its archive.
bool IsStanza(const std::string& root, const std::string& stanza) {
  const std::string backup = JoinPath(root, "backup/" + stanza);
  return !stanza.empty() && io::Exists(backup) &&
         (io::Exists(JoinPath(root, "archive/" + stanza)) || io::Exists(JoinPath(backup, "backup.info")));
}

std::string WithoutSlashes(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

// "/a/b" of "/a/b/c" with "c"; "/" of "/c"; "." of "c".
std::pair<std::string, std::string> SplitPath(const std::string& path) {
  const auto [parent, name] = SplitLast(path);
  if (!parent.empty()) return {WithoutSlashes(std::string(parent)), std::string(name)};
  return {path.starts_with('/') ? "/" : ".", std::string(name)};
}

// REPO ends where the stanza is: at the last component, or at the one before a label.
std::optional<Place> PlaceInRepository(const std::string& rest) {
  const auto [root, last] = SplitPath(WithoutSlashes(rest));
  if (IsStanza(root, last)) return Place{.root = root, .stanza = last, .label = {}, .passphrase = {}};
  const auto [above, stanza] = SplitPath(root);
  if (IsStanza(above, stanza)) return Place{.root = above, .stanza = stanza, .label = last, .passphrase = {}};
  return std::nullopt;
}

bool HasOrCopy(const std::string& directory, const std::string& name) {
  return io::Exists(JoinPath(directory, name)) || io::Exists(JoinPath(directory, name + ".copy"));
}

// A restore that was broken off leaves a manifest in a data directory.
bool IsBackup(const std::string& directory) {
  return HasOrCopy(directory, "backup.manifest") && !io::Exists(JoinPath(directory, "PG_VERSION"));
}

// The backup's directory that `path`, absolute, is or lies in; empty where there is none.
std::string BackupAround(const std::string& path) {
  constexpr std::array<std::string_view, 3> kParts = {"pg_data", "pg_tblspc", "bundle"};
  if (IsBackup(path)) return path;
  const auto [parent, name] = SplitPath(path);
  return std::ranges::find(kParts, name) != kParts.end() && IsBackup(parent) ? parent : std::string();
}

std::vector<std::string> StanzasOf(const std::string& root) {
  auto names = io::ListDirectory(JoinPath(root, "backup")).value_or(std::vector<std::string>{});
  std::erase_if(names, [&](const std::string& name) {
    return !IsStanza(root, name) || !HasOrCopy(JoinPath(root, "backup/" + name), "backup.info");
  });
  return names;
}

// A backup by its native path: REPO/backup/STANZA/LABEL, or a part of it.
std::optional<Place> PlaceOfBackup(const std::string& path) {
  const auto resolved = io::ResolvePath(path);
  if (!resolved) return std::nullopt;
  const std::string backup = BackupAround(*resolved);
  if (backup.empty()) return std::nullopt;
  const auto [directory, label] = SplitPath(backup);
  const auto [backups, stanza] = SplitPath(directory);
  const auto [root, name] = SplitPath(backups);
  if (name != "backup") return std::nullopt;
  return Place{.root = root, .stanza = stanza, .label = label, .passphrase = {}};
}

// Several backups by a native path: REPO, REPO/backup or REPO/backup/STANZA.
struct SeveralBackups {
  std::string root;
  std::vector<std::string> stanzas;  // none: it is no such path
};

SeveralBackups BackupsAt(const std::string& path) {
  const auto resolved = io::ResolvePath(path);
  if (!resolved) return {};
  const auto [parent, name] = SplitPath(*resolved);
  const auto [above, between] = SplitPath(parent);
  SeveralBackups there{.root = *resolved, .stanzas = StanzasOf(*resolved)};
  if (there.stanzas.empty() && name == "backup") there = {.root = parent, .stanzas = StanzasOf(parent)};
  if (!there.stanzas.empty() || between != "backup") return there;
  there = {.root = above, .stanzas = StanzasOf(above)};
  std::erase_if(there.stanzas, [&](const std::string& stanza) { return stanza != name; });
  return there;
}

// The text of the first configuration that is there, and of what is included; empty where there is none.
Result<std::string> ReadConfiguration() {
  const std::string chosen = Variable("PGBACKREST_CONFIG");
  std::vector<std::string> candidates(kConfigurations.begin(), kConfigurations.end());
  if (!chosen.empty()) candidates = {chosen};
  std::string text;
  const auto found = std::ranges::find_if(candidates, io::Exists);
  if (found != candidates.end()) {
    PGS_ASSIGN(text, io::ReadWholeFile(*found, kLargestConfiguration));
  }
  const auto included = chosen.empty() ? io::ListDirectory(kIncluded) : Result<std::vector<std::string>>();
  if (!included) return text;
  for (const auto& name : *included) {
    if (!name.ends_with(".conf")) continue;
    PGS_ASSIGN(const std::string part, io::ReadWholeFile(JoinPath(kIncluded, name), kLargestConfiguration));
    text += '\n' + part;
  }
  return text;
}

Result<std::vector<ConfiguredRepository>> Configured(const std::string& text, const std::string& stanza) {
  auto repositories = pgbackrest::ParseConfiguration(text, stanza, true);
  if (repositories) return repositories;
  const std::string chosen = Variable("PGBACKREST_CONFIG");
  const std::string where = chosen.empty() ? kConfigurations[0] : chosen;
  if (repositories.error().code() != ErrorCode::kNotFound) return Fail(std::move(repositories).error().Wrap(where));
  return Fail(Error(ErrorCode::kNotFound, text.empty() ? "there is no " + Quoted(where) +
                                                             " that says where the stanza " + Quoted(stanza) + " is"
                                                       : Quoted(where) + " does not name the stanza " + Quoted(stanza))
                  .WithHint("name the repository: pgbackrest:REPO/" + stanza +
                            ", where REPO is the directory that holds archive and backup (repo1-path)"));
}

// Of a passphrase alone in a file the first line; of a pgbackrest.conf what it says of this repository.
Result<std::string> PassphraseOfFile(const std::string& path, const Place& place) {
  PGS_ASSIGN(const std::string text, io::ReadWholeFile(path, kLargestConfiguration));
  const auto lines = SplitLines(text);
  const bool is_configuration =
      std::ranges::any_of(lines, [](std::string_view line) { return line.starts_with("[global"); }) ||
      std::ranges::any_of(lines, [&](std::string_view line) { return line == '[' + place.stanza + ']'; });
  if (!is_configuration) return lines.empty() ? std::string() : std::string(lines.front());
  auto repositories = pgbackrest::ParseConfiguration(text, place.stanza, false);
  if (!repositories) return Fail(std::move(repositories).error().Wrap(Quoted(path)));
  for (const auto& repository : *repositories) {
    if (io::ResolvePath(repository.path).value_or("") == place.root) return repository.passphrase;
  }
  return repositories->front().passphrase;
}

// What the configuration says of the repository; nothing where it does not name it.
std::optional<ConfiguredRepository> KnownRepository(const Place& place) {
  const auto configuration = ReadConfiguration();
  if (!configuration || configuration->empty()) return std::nullopt;
  const auto repositories = pgbackrest::ParseConfiguration(*configuration, place.stanza, false);
  if (!repositories) return std::nullopt;
  for (const auto& repository : *repositories) {
    if (io::ResolvePath(repository.path).value_or("") == place.root) return repository;
  }
  return std::nullopt;
}

// From the request's file, the environment, the configuration, the user: in this order.
Result<std::string> FindPassphrase(const Place& place, const SourceRequest& request) {
  if (!request.passphrase_file.empty()) return PassphraseOfFile(request.passphrase_file, place);
  const auto known = KnownRepository(place);
  for (const uint32_t number : {known ? known->number : place.number, place.number}) {
    if (auto set = Variable("PGBACKREST_REPO" + std::to_string(number) + "_CIPHER_PASS"); !set.empty()) return set;
  }
  if (!place.passphrase.empty()) return place.passphrase;
  if (known && !known->passphrase.empty()) return known->passphrase;
  if (!request.ask_passphrase) return std::string();
  return request.ask_passphrase("Passphrase of the pgBackRest repository " + place.root);
}

Result<std::unique_ptr<Repository>> OpenRepository(const Place& place, const SourceRequest& request) {
  std::string passphrase;
  const auto is_encrypted = Repository::IsEncrypted(place.root, place.stanza);
  if (is_encrypted && *is_encrypted) {
    PGS_ASSIGN(passphrase, FindPassphrase(place, request));
  }
  return Repository::Open(place.root, place.stanza, passphrase);
}

// Only a directory of this machine is opened.
Status RequireLocal(const ConfiguredRepository& repository) {
  const std::string name = "repository " + std::to_string(repository.number) + " of pgbackrest.conf";
  if (!repository.host.empty()) {
    return Fail(Error(ErrorCode::kUnsupported, name + " is on another machine, " + Quoted(repository.host))
                    .WithHint("run pgstrata there, or mount the repository here and name its directory"));
  }
  if (repository.type == "posix" || repository.type == "cifs") return {};
  return Fail(Error(ErrorCode::kUnsupported, name + " is of type " + Quoted(repository.type))
                  .WithHint("this version opens repositories that are directories of this machine"));
}

std::vector<BackupEnd> EndsOf(const std::vector<pgbackrest::BackupRecord>& backups) {
  std::vector<BackupEnd> ends;
  for (const auto& backup : backups) {
    BackupEnd end{.number = ends.size(), .time = Timestamp{backup.stop_time * 1'000'000'000}, .lsn = {}};
    if (!backup.stop_lsn.empty()) end.lsn = Lsn::Parse(backup.stop_lsn);
    ends.push_back(end);
  }
  return ends;
}

Result<PgbackrestBackup> OpenPlace(const Place& place, const SourceRequest& request) {
  PgbackrestBackup opened;
  PGS_ASSIGN(opened.repository, OpenRepository(place, request));
  opened.label = place.label;
  if (!opened.label.empty()) return opened;
  const auto& backups = opened.repository->backups();
  if (request.newest_before && !backups.empty()) {
    PGS_ASSIGN(const size_t newest, NewestBefore(place.root, EndsOf(backups), *request.newest_before));
    opened.label = backups.at(newest).label;
    opened.newest_was_taken = true;
    return opened;
  }
  const auto* latest = opened.repository->Latest();
  if (latest == nullptr) {
    return Fail(ErrorCode::kNotFound,
                "the stanza " + Quoted(place.stanza) + " of " + Quoted(place.root) + " has no backup");
  }
  opened.label = latest->label;
  return opened;
}

// The first of the stanza's repositories that has the backup. An error of the last one tried says why there is none.
Result<PgbackrestBackup> OpenConfigured(const std::string& stanza, const std::string& label,
                                        const SourceRequest& request) {
  PGS_ASSIGN(const std::string text, ReadConfiguration());
  PGS_ASSIGN(const auto repositories, Configured(text, stanza));
  std::optional<Error> problem;
  for (const auto& repository : repositories) {
    if (const auto local = RequireLocal(repository); !local) {
      problem = local.error();
      continue;
    }
    auto root = io::ResolvePath(repository.path);
    if (!root) {
      problem = std::move(root).error();
      continue;
    }
    auto opened = OpenPlace({.root = *root,
                             .stanza = stanza,
                             .label = label,
                             .number = repository.number,
                             .passphrase = repository.passphrase},
                            request);
    if (!opened) {
      problem = std::move(opened).error();
      continue;
    }
    const auto& backups = opened->repository->backups();
    const bool has_it = std::ranges::find(backups, opened->label, &pgbackrest::BackupRecord::label) != backups.end();
    if (has_it || &repository == &repositories.back()) return opened;
  }
  return Fail(*std::move(problem));
}

std::string DirectoryOf(const Repository& repository, const std::string& label) {
  return JoinPath(repository.root(), "backup/" + repository.stanza() + '/' + label);
}

Result<PgbackrestBackup> OpenOneOf(const SeveralBackups& several, const std::string& typed,
                                   const SourceRequest& request) {
  if (request.newest_before && several.stanzas.size() == 1) {
    return OpenPlace({.root = several.root, .stanza = several.stanzas.front(), .label = {}, .passphrase = {}}, request);
  }
  std::vector<PgbackrestBackup> candidates;
  std::vector<std::string> lines;
  for (const auto& stanza : several.stanzas) {
    const Place place{.root = several.root, .stanza = stanza, .label = {}, .passphrase = {}};
    PGS_ASSIGN(const std::shared_ptr<const Repository> repository, OpenRepository(place, request));
    for (const auto& backup : repository->backups()) {
      candidates.push_back({.repository = repository, .label = backup.label});
      lines.push_back(DirectoryOf(*repository, backup.label) + " (" + backup.type + ')');
    }
  }
  if (candidates.empty()) {
    return Fail(ErrorCode::kNotFound, "the pgBackRest repository " + Quoted(several.root) + " has no backup");
  }
  PGS_ASSIGN(const size_t chosen, ChooseBackup(typed, lines, request));
  return std::move(candidates.at(chosen));
}

std::vector<std::string> OlderThan(const Repository& repository, const pgbackrest::Manifest& manifest) {
  auto labels = manifest.labels;
  std::erase(labels, manifest.label);
  std::ranges::sort(labels);
  for (auto& label : labels) label = DirectoryOf(repository, label);
  return labels;
}

}  // namespace

Result<std::vector<PgbackrestStanza>> FindPgbackrestStanzas(const std::string& rest, const SourceRequest& request) {
  std::vector<PgbackrestStanza> found;
  const auto add = [&](const Place& place) {
    found.push_back({.root = place.root, .stanza = place.stanza, .repository = OpenRepository(place, request)});
  };
  if (auto place = PlaceInRepository(rest)) {
    PGS_ASSIGN(place->root, io::ResolvePath(place->root));
    add(*place);
  } else if (const auto backup = rest.contains('/') ? PlaceOfBackup(rest) : std::nullopt) {
    add(*backup);
  } else if (const auto several = rest.contains('/') ? BackupsAt(rest) : SeveralBackups(); !several.stanzas.empty()) {
    for (const auto& stanza : several.stanzas) {
      add({.root = several.root, .stanza = stanza, .label = {}, .passphrase = {}});
    }
  } else {
    const std::string stanza(SplitLast(rest).first.empty() ? rest : SplitLast(rest).first);
    PGS_ASSIGN(const std::string text, ReadConfiguration());
    PGS_ASSIGN(const auto repositories, Configured(text, stanza));
    for (const auto& repository : repositories) {
      const auto local = RequireLocal(repository);
      const auto root = local ? io::ResolvePath(repository.path) : Result<std::string>(Fail(local.error()));
      if (!root) {
        found.push_back({.root = repository.path, .stanza = stanza, .repository = Fail(root.error())});
        continue;
      }
      add({.root = *root,
           .stanza = stanza,
           .label = {},
           .number = repository.number,
           .passphrase = repository.passphrase});
    }
  }
  return found;
}

bool IsPgbackrestPath(const std::string& path) {
  const auto resolved = io::ResolvePath(path);
  return resolved && (!BackupAround(*resolved).empty() || !BackupsAt(*resolved).stanzas.empty());
}

Result<PgbackrestBackup> FindPgbackrest(const std::string& rest, const SourceRequest& request) {
  if (auto place = PlaceInRepository(rest)) {
    PGS_ASSIGN(place->root, io::ResolvePath(place->root));
    return OpenPlace(*place, request);
  }
  if (!rest.contains('/')) return OpenConfigured(rest, "", request);
  if (const auto place = PlaceOfBackup(rest)) return OpenPlace(*place, request);
  if (const auto several = BackupsAt(rest); !several.stanzas.empty()) return OpenOneOf(several, rest, request);
  const auto [stanza, label] = SplitLast(rest);
  if (!stanza.contains('/') && pgbackrest::IsBackupLabel(label)) {
    return OpenConfigured(std::string(stanza), std::string(label), request);
  }
  return Fail(Error(ErrorCode::kNotFound, Quoted(rest) + " names no stanza of a pgBackRest repository")
                  .WithHint("write pgbackrest:REPO/STANZA or pgbackrest:REPO/STANZA/LABEL, where REPO is the directory "
                            "that holds archive/STANZA and backup/STANZA"));
}

Result<ResolvedSource> ResolvePgbackrest(const std::string& rest, const SourceRequest& request) {
  PGS_ASSIGN(const PgbackrestBackup opened, FindPgbackrest(rest, request));
  const Repository& repository = *opened.repository;
  PGS_ASSIGN(auto image, repository.OpenBackup(opened.label, CacheFor(request)));
  ResolvedSource resolved;
  resolved.kind = SourceKind::kPgbackrest;
  resolved.path = DirectoryOf(repository, opened.label);
  resolved.newest_was_taken = opened.newest_was_taken;
  resolved.older = OlderThan(repository, image->manifest());
  resolved.display_name = repository.stanza() + '/' + opened.label;
  auto archive = repository.OpenArchive(image->manifest());
  if (!archive) log::Warning("the WAL of {} cannot be used: {}", resolved.display_name, archive.error().message());
  if (archive && *archive) resolved.wal_archives.push_back(*std::move(archive));
  resolved.image = std::move(image);
  return resolved;
}

}  // namespace pgstrata::source
