#include "branch/branch/branch_edit.h"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <map>

#include "branch/branch/branch_compact.h"
#include "branch/branch/server_settings.h"
#include "branch/branch/source_fingerprint.h"
#include "branch/branch/start_stop.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"

namespace pgstrata::branch {
namespace {

std::string LowerCase(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

Status CheckParameter(const std::string& name) {
  const auto part_of_name = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.';
  };
  if (name.empty() || !std::ranges::all_of(name, part_of_name)) {
    return Fail(ErrorCode::kUsage, Quoted(name) + " is no name of a setting");
  }
  if (!IsGuarded(name)) return {};
  return Fail(Error(ErrorCode::kUsage, Quoted(name) + " keeps the branch safe and is not for setting")
                  .WithHint("docs/safety.md says what each such setting is for"));
}

uint64_t Allocated(const std::string& path) { return io::AllocatedBytes(path).value_or(0); }

BranchInfo Describe(const std::string& home, BranchRecord record, const std::map<std::string, std::string>& names,
                    const std::map<std::string, int64_t>& uses) {
  const BranchDirectory directory(home, record.id);
  BranchInfo info{.alive = LookAt(directory).value_or(Liveness{}), .socket_directory = directory.socket_directory()};
  if (record.state == BranchState::kStopped) {
    info.state = "stopped";
  } else if (info.alive.worker && info.alive.server) {
    info.state = BranchStateName(record.state);
  } else {
    info.state = "crashed";
  }
  if (const auto parent = names.find(record.parent); parent != names.end()) info.parent = parent->second;
  info.own_bytes = Allocated(directory.wals()) + Allocated(directory.origin());
  for (size_t i = 0; i < record.layers.size(); ++i) {
    const std::string& layer = record.layers[i].id;
    const auto used = uses.find(layer);
    const bool shared = used != uses.end() && used->second > 1;
    const uint64_t bytes = Allocated(LayerDirectory(home, layer));
    (shared ? info.shared_bytes : info.own_bytes) += bytes;
    if (i >= record.layers_at_creation) info.limited_bytes += bytes;
  }
  info.record = std::move(record);
  return info;
}

Result<std::vector<BranchInfo>> Collect(const std::string& home, const std::string* only) {
  PGS_ASSIGN(auto catalogue, Catalogue::OpenIfThere(home));
  if (!catalogue) return std::vector<BranchInfo>{};
  PGS_ASSIGN(auto records, catalogue->List());
  PGS_ASSIGN(const auto uses, catalogue->LayerUses());
  catalogue.reset();
  std::map<std::string, std::string> names;
  for (const auto& record : records) names[record.id] = record.name;
  std::vector<BranchInfo> infos;
  for (auto& record : records) {
    if (only != nullptr && record.name != *only) continue;
    infos.push_back(Describe(home, std::move(record), names, uses));
  }
  return infos;
}

}  // namespace

Status RenameBranch(LockedBranch& branch, const std::string& new_name) {
  PGS_TRY(CheckBranchName(new_name));
  branch.record.name = new_name;
  return branch.Save();
}

Status DropBranch(LockedBranch& branch) {
  PGS_TRY(EndBranch(branch));
  std::vector<std::string> orphans;
  bool cluster_is_used = false;
  {
    PGS_ASSIGN(auto catalogue, Catalogue::Open(branch.home));
    PGS_ASSIGN(orphans, catalogue.Change({}, {branch.record.id}));
    PGS_ASSIGN(const auto others, catalogue.List());
    cluster_is_used = std::ranges::any_of(
        others, [&](const BranchRecord& other) { return other.source.path == branch.record.source.path; });
  }
  // From here on whatever fails is a leftover.
  PGS_TRY(RemoveLayers(branch.home, orphans));
  PGS_TRY(DiscardMerges(branch.home, branch.record.id));
  if (branch.record.source.path.starts_with(ClustersDirectory(branch.home) + '/') && !cluster_is_used) {
    PGS_TRY(io::RemoveTree(branch.record.source.path));
  }
  return io::RemoveTree(branch.directory.path());
}

Status ChangeBranch(LockedBranch& branch, const BranchChanges& changes) {
  auto& parameters = branch.record.parameters;
  for (const auto& [typed, value] : changes.set) {
    const std::string name = LowerCase(typed);
    PGS_TRY(CheckParameter(name));
    parameters[name] = value;
  }
  for (const auto& typed : changes.unset) {
    if (parameters.erase(LowerCase(typed)) == 0) {
      return Fail(ErrorCode::kNotFound, Quoted(typed) + " is not set for branch " + Quoted(branch.record.name));
    }
  }
  branch.record.max_size = changes.max_size.value_or(branch.record.max_size);
  PGS_TRY(branch.Save());
  return changes.max_size ? LimitRunning(branch.directory, *changes.max_size) : Status{};
}

Status RelocateBranch(LockedBranch& branch, const BranchSource& source) {
  const auto& record = branch.record;
  PGS_ASSIGN(const Liveness alive, LookAt(branch.directory));
  if (alive.worker) {
    return Fail(Error(ErrorCode::kBusy, "branch " + Quoted(record.name) + " is running")
                    .WithHint("pgstrata branch stop " + record.name));
  }
  const image::Image& image = *source.image;
  PGS_ASSIGN(const auto facts, InspectCluster(image));
  if (facts.control.system_identifier != record.system_identifier) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{} is not the same backup: it is of system {}, not of {}", Quoted(image.name()),
                            facts.control.system_identifier, record.system_identifier));
  }
  PGS_TRY(CheckSameBackup(image, branch.directory.source()));
  PGS_ASSIGN(const auto fingerprints, TakeFingerprints(image));
  PGS_TRY(WriteFingerprints(branch.directory.source(), fingerprints));
  branch.record.source = source.reference;
  branch.record.source_typed = source.typed;
  return branch.Save();
}

Result<std::vector<BranchInfo>> ListBranches(const std::string& home) { return Collect(home, nullptr); }

Result<BranchInfo> DescribeBranch(const std::string& home, const std::string& name) {
  PGS_ASSIGN(auto found, Collect(home, &name));
  if (!found.empty()) return std::move(found.front());
  return Fail(Error(ErrorCode::kNotFound, "there is no branch " + Quoted(name))
                  .WithHint("pgstrata branch list shows what there is"));
}

}  // namespace pgstrata::branch
