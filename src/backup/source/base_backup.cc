#include "backup/source/base_backup.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "backup/image/directory_image.h"
#include "backup/image/tar_image.h"
#include "backup/source/choose.h"
#include "backup/source/recognise.h"
#include "backup/source/request_cache.h"
#include "catalog/incremental/backup_files.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "postgres/pgdata/backup_label.h"
#include "postgres/pgdata/recovery_target.h"

namespace pgstrata::source {
namespace {

using incremental::ListedBackup;

bool IsTarName(std::string_view name) {
  constexpr std::array<std::string_view, 6> kSuffixes = {".tar", ".tar.gz", ".tgz", ".tar.lz4", ".tar.zst", ".tar.bz2"};
  return std::ranges::any_of(kSuffixes, [&](std::string_view suffix) { return name.ends_with(suffix); });
}

std::string ParentOf(const std::string& path) {
  const auto parent = SplitLast(path).first;
  return parent.empty() ? "/" : std::string(parent);
}

// One value of --chain: a path, or several with commas between them where no path of that name is there.
Status AddChainPaths(const std::string& value, std::vector<std::string>& paths) {
  if (io::Exists(value)) {
    paths.push_back(value);
    return {};
  }
  for (const auto part : Split(value, ',')) {
    if (!io::Exists(std::string(part))) {
      return Fail(Error(ErrorCode::kNotFound, "--chain: there is no " + Quoted(part))
                      .WithHint("a path with a comma in it is given by a --chain of its own"));
    }
    paths.emplace_back(part);
  }
  return {};
}

std::string Described(const ListedBackup& backup) {
  if (!backup.facts) return backup.path + " (" + backup.problem + ')';
  const auto& label = backup.facts->label;
  return backup.path + (backup.facts->is_full() ? " (full, " : " (incremental, ") + label.start_time + ", " +
         label.label + ')';
}

std::vector<std::string> Described(const std::vector<ListedBackup>& backups) {
  std::vector<std::string> lines;
  lines.reserve(backups.size());
  for (const auto& backup : backups) lines.push_back(Described(backup));
  return lines;
}

bool AreOfOneCluster(const std::vector<ListedBackup>& backups) {
  std::optional<uint64_t> first;
  for (const auto& backup : backups) {
    if (!backup.facts) continue;
    const uint64_t identifier = backup.facts->system_identifier;
    if (first && (*first != identifier || identifier == 0)) return false;  // 0: it is not known
    first = identifier;
  }
  return first.has_value();
}

// A label that cannot be read is left to those who need it.
bool IsIncremental(const image::Image& image) {
  const auto text = image::ReadSmallFile(image, pgdata::kBackupLabelPath);
  if (!text) return false;
  const auto label = pgdata::ParseBackupLabel(*text);
  return label && label->incremental_base;
}

class BaseBackup {
 public:
  BaseBackup(const SourceRequest& request, SourceKind kind)
      : request_(request), kind_(kind), cache_(CacheFor(request)) {
    if (cache_) cache_->Observe(request.decoding);
  }

  Result<OpenedBaseBackup> Open(const std::string& path) {
    auto resolved = io::ResolvePath(path);
    if (!resolved) return OpenPlain(path);  // says what is wrong
    opened_.path = *std::move(resolved);
    if (kind_ == SourceKind::kTar || (io::IsRegularFile(opened_.path) && IsTarName(opened_.path))) return OpenTar(path);
    if (!incremental::LooksLikeBackup(opened_.path)) {
      const auto listed = incremental::ListBackups(opened_.path);
      const auto candidates = listed ? incremental::NewestOf(*listed) : std::vector<ListedBackup>();
      if (candidates.empty()) return OpenPlain(path);
      opened_.newest_was_taken = request_.newest_before && AreOfOneCluster(*listed);
      PGS_ASSIGN(const std::string chosen,
                 opened_.newest_was_taken ? TakeNewest(path, *listed) : Ask(path, candidates));
      return Open(JoinPath(path, SplitLast(chosen).second));
    }
    return LooksPlain() ? OpenPlain(path) : OpenTar(path);
  }

  // The image is used longer than the request.
  void EndObserving() {
    if (cache_) cache_->Observe({});
  }

 private:
  [[nodiscard]] Result<std::string> Ask(const std::string& path, const std::vector<ListedBackup>& candidates) const {
    PGS_ASSIGN(const size_t chosen, ChooseBackup(path, Described(candidates), request_));
    return candidates.at(chosen).path;
  }

  [[nodiscard]] Result<std::string> TakeNewest(const std::string& path, const std::vector<ListedBackup>& listed) const {
    std::vector<BackupEnd> ends;
    for (size_t i = 0; i < listed.size(); ++i) {
      if (!listed[i].facts) continue;
      const auto& label = listed[i].facts->label;
      const auto began = pgdata::ParseRecoveryTarget(label.start_time, Timestamp(), "");
      ends.push_back({.number = i, .time = {}, .lsn = label.start});
      if (began && began->kind == pgdata::RecoveryTarget::Kind::kTime) ends.back().time = began->time;
    }
    PGS_ASSIGN(const size_t newest, NewestBefore(path, ends, *request_.newest_before));
    return listed.at(newest).path;
  }

  [[nodiscard]] bool LooksPlain() const { return io::Exists(JoinPath(opened_.path, "PG_VERSION")); }

  Result<OpenedBaseBackup> OpenPlain(const std::string& path) {
    PGS_ASSIGN(auto image, image::OpenDirectory(path));
    opened_.path = image->root();
    PGS_TRY(RequirePlainBackup(*image, path));
    return OpenWithOlder(path, std::move(image));
  }

  Result<OpenedBaseBackup> OpenTar(const std::string& path) {
    PGS_ASSIGN(auto image, image::OpenTar(path, cache_));
    if (!image->Stat("PG_VERSION")) {
      return Fail(ErrorCode::kInvalidArgument,
                  Quoted(path) + " is not a PostgreSQL backup: there is no PG_VERSION in it");
    }
    return OpenWithOlder(path, std::move(image));
  }

  Result<OpenedBaseBackup> OpenWithOlder(const std::string& path, std::unique_ptr<image::Image> newest) {
    const bool alone = request_.chain.empty() && !IsIncremental(*newest);
    if (alone) {
      if (dynamic_cast<const image::DirectoryImage*>(newest.get()) != nullptr) {
        opened_.plain_images.push_back(newest.get());
        opened_.is_plain_directory = true;
      }
      opened_.image = std::move(newest);
      return std::move(opened_);
    }
    PGS_ASSIGN(auto facts, incremental::ReadFacts(*newest));
    PGS_ASSIGN(const auto older, OlderBackups(facts, path));
    PGS_ASSIGN(auto combined, incremental::OpenChain(older, {std::move(newest), std::move(facts)}, cache_));
    for (const auto& backup : combined->files().chain()) {
      if (dynamic_cast<const image::DirectoryImage*>(backup.image.get()) == nullptr) continue;
      opened_.plain_images.push_back(backup.image.get());
    }
    for (const auto& backup : older) {
      PGS_ASSIGN(opened_.older.emplace_back(), io::ResolvePath(backup));
    }
    opened_.image = std::move(combined);
    return std::move(opened_);
  }

  // The paths of the chain, the oldest first.
  [[nodiscard]] Result<std::vector<std::string>> OlderBackups(const incremental::BackupFacts& facts,
                                                              const std::string& path) const {
    std::vector<std::string> named;
    for (const auto& value : request_.chain) PGS_TRY(AddChainPaths(value, named));
    const auto is_backup = [](const std::string& place) {
      return io::IsRegularFile(place) || incremental::LooksLikeBackup(place);
    };
    if (!named.empty() && std::ranges::all_of(named, is_backup)) return named;
    if (named.empty()) named.push_back(ParentOf(opened_.path));
    std::vector<ListedBackup> listed;
    for (const auto& place : named) {
      if (is_backup(place)) {
        listed.push_back(incremental::DescribeBackup(place));
        continue;
      }
      PGS_ASSIGN(auto there, incremental::ListBackups(place));
      std::ranges::move(there, std::back_inserter(listed));
    }
    return incremental::FindChain(facts, path, listed);
  }

  const SourceRequest& request_;
  const SourceKind kind_;
  const std::shared_ptr<image::DecodedCache> cache_;
  OpenedBaseBackup opened_;
};

}  // namespace

Result<OpenedBaseBackup> OpenBaseBackup(const SourceName& name, const SourceRequest& request) {
  BaseBackup backup(request, name.kind);
  auto opened = backup.Open(name.rest);
  backup.EndObserving();
  return opened;
}

}  // namespace pgstrata::source
