#include "branch/branch/pending_merges.h"

#include <algorithm>

#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "foundation/io/lock.h"

namespace pgstrata::branch {
namespace {

constexpr std::string_view kFirstLine = "pgstrata merged 1";

std::string PendingPath(const BranchDirectory& directory) { return directory.path() + "/merged"; }

bool IsLayerId(std::string_view id) {
  const auto part_of_id = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == '-'; };
  return id.size() > 1 && std::ranges::all_of(id, part_of_id);
}

std::unexpected<Error> Damaged(const BranchDirectory& directory) {
  return Fail(Error(ErrorCode::kCorrupt, Quoted(PendingPath(directory)) + " is damaged")
                  .WithHint("it may be removed: the branch then stays on the layers that it has"));
}

Status WritePending(const BranchDirectory& directory, const std::vector<PendingMerge>& merges) {
  std::string text(kFirstLine);
  text += '\n';
  for (const auto& merge : merges) {
    text += merge.layer;
    for (const auto& layer : merge.replaces) text += ' ' + layer;
    text += '\n';
  }
  return io::ReplaceFile(PendingPath(directory), text);
}

}  // namespace

Result<std::vector<PendingMerge>> ReadPendingMerges(const BranchDirectory& directory) {
  const auto text = io::ReadWholeFile(PendingPath(directory));
  if (!text && text.error().code() == ErrorCode::kNotFound) return std::vector<PendingMerge>{};
  if (!text) return std::unexpected(text.error());
  const auto lines = SplitLines(*text);
  if (lines.empty() || lines.front() != kFirstLine) return Damaged(directory);
  std::vector<PendingMerge> merges;
  for (size_t i = 1; i < lines.size(); ++i) {
    const auto ids = Split(lines[i], ' ');
    if (ids.size() < 2 || !std::ranges::all_of(ids, IsLayerId)) return Damaged(directory);
    merges.push_back({.layer = std::string(ids.front()), .replaces = {ids.begin() + 1, ids.end()}});
  }
  return merges;
}

Status AddPendingMerge(const BranchDirectory& directory, const PendingMerge& merge) {
  PGS_ASSIGN(const auto changing, io::FileLock::AcquireOnDirectory(directory.path()));
  PGS_ASSIGN(auto merges, ReadPendingMerges(directory));
  merges.push_back(merge);
  return WritePending(directory, merges);
}

Status UsePendingMerges(const BranchDirectory& directory,
                        const std::function<Status(const std::vector<PendingMerge>& merges)>& use) {
  if (!io::Exists(PendingPath(directory))) return {};
  PGS_ASSIGN(const auto changing, io::FileLock::AcquireOnDirectory(directory.path()));
  PGS_ASSIGN(const auto merges, ReadPendingMerges(directory));
  if (!merges.empty()) PGS_TRY(use(merges));
  return io::RemoveFile(PendingPath(directory));
}

bool ApplyMerge(const PendingMerge& merge, BranchRecord& record) {
  auto& layers = record.layers;
  const auto found = std::ranges::search(layers, merge.replaces, {}, &LayerRecord::id);
  if (found.empty()) return false;
  const auto first = static_cast<size_t>(found.begin() - layers.begin());
  const size_t end = first + merge.replaces.size();
  // The topmost layer is written, and a reset comes back to the layers that it was made upon.
  if (end >= layers.size() || (first < record.layers_at_creation && end > record.layers_at_creation)) return false;
  if (end <= record.layers_at_creation) record.layers_at_creation -= merge.replaces.size() - 1;
  const auto at = layers.erase(found.begin(), found.end());
  layers.insert(at, {.id = merge.layer, .frozen = true, .written = true});
  return true;
}

}  // namespace pgstrata::branch
