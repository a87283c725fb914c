#include "catalog/probackup/chain.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "foundation/base/text.h"
#include "foundation/io/directory.h"

namespace pgstrata::probackup {
namespace {

// A chain is as long as there were backups between two full ones; one longer than this goes round in a circle.
constexpr size_t kLongestChain = 10'000;

// Restore makes these itself, or not at all.
bool IsShown(const ContentEntry& entry) {
  return entry.external != 0 || (entry.path != "tablespace_map" && entry.path != "database_map");
}

// The backup `id` of the instance. Its directory has its name, unless somebody renamed it.
Result<std::unique_ptr<BackupDirectory>> FindById(const std::string& instance, const std::string& id,
                                                  const BackupDirectory& child) {
  auto named = BackupDirectory::Open(JoinPath(instance, id));
  if (named && (*named)->control().id == id) return named;
  if (!named && named.error().code() != ErrorCode::kNotFound) return named;
  PGS_ASSIGN(const auto names, io::ListDirectory(instance));
  for (const auto& name : names) {
    auto other = BackupDirectory::Open(JoinPath(instance, name));
    if (other && (*other)->control().id == id) return other;
  }
  if (named) return named;  // as pg_probackup does: the control file's start time was written in another zone
  return Fail(Error(ErrorCode::kNotFound, fmt::format("backup {}, on which {} stands, is missing from {}", id,
                                                      child.Name(), Quoted(instance)))
                  .WithHint("without its parents an incremental backup cannot be read; open another one"));
}

}  // namespace

Result<std::vector<std::unique_ptr<BackupDirectory>>> FindChain(const std::string& directory, bool force) {
  std::vector<std::unique_ptr<BackupDirectory>> backups;
  PGS_ASSIGN(backups.emplace_back(), BackupDirectory::Open(directory));
  const std::string instance(SplitLast(directory).first);
  while (true) {
    const BackupDirectory& oldest = *backups.back();
    if (auto usable = CheckUsable(oldest.control(), force); !usable) {
      return Fail(std::move(usable).error().Wrap(Quoted(oldest.path())));
    }
    if (oldest.control().mode == BackupMode::kFull) return backups;
    if (backups.size() == kLongestChain) break;
    PGS_ASSIGN(auto parent, FindById(instance, oldest.control().parent, oldest));
    const bool again = std::ranges::any_of(backups, [&](const auto& known) { return known->path() == parent->path(); });
    if (again) break;
    backups.push_back(std::move(parent));
  }
  return Fail(ErrorCode::kCorrupt, fmt::format("the parents of {} lead to no full backup", backups.front()->Name()));
}

Result<std::unique_ptr<ReaderLock>> LockChain(const std::string& directory, bool force) {
  PGS_ASSIGN(const auto backups, FindChain(directory, force));
  std::vector<std::string> directories;
  directories.reserve(backups.size());
  for (const auto& backup : backups) directories.push_back(backup->path());
  return ReaderLock::Take(std::move(directories));
}

Result<std::shared_ptr<const Chain>> Chain::Open(const std::string& directory, bool force) {
  std::shared_ptr<Chain> chain(new Chain);
  PGS_ASSIGN(chain->backups_, FindChain(directory, force));
  PGS_TRY(chain->ReadLists());
  return chain;
}

Status Chain::ReadLists() {
  for (uint32_t layer = 0; layer < backups_.size(); ++layer) {
    const BackupDirectory& backup = *backups_[layer];
    const BackupMode mode = backup.control().mode;
    PGS_ASSIGN(const std::string text, backup.ReadContentList());
    auto parsed = ParseContentList(text, [&](ContentEntry&& entry) -> Status {
      if (layer > 0) {
        const auto tree = trees_.find(entry.external);
        if (tree != trees_.end()) tree->second.AddOlder(entry, layer, mode);
      } else if (IsShown(entry)) {
        trees_[entry.external].AddNewest(entry, mode);
      }
      return {};
    });
    if (!parsed) return Fail(std::move(parsed).error().Wrap(backup.Name()));
  }
  for (auto& [number, tree] : trees_) tree.Finish(control().version);
  return {};
}

const FileTree& Chain::tree(uint32_t external) const {
  const auto found = trees_.find(external);
  return found == trees_.end() ? empty_ : found->second;
}

}  // namespace pgstrata::probackup
