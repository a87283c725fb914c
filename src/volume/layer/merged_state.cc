// Records of the upper layer follow those of the lower one, and mean what they mean in one log: names, attributes and
// ends are put together that way. Only the length of a file means something else above another layer. What the upper
// layer has of a file shows below it the first `base_limit` bytes of what the lower one says; so of the lower one's
// blocks those behind that limit are gone, and the limit of both together is the lower of the two. Where the limit
// falls into the middle of a data block that the upper layer shows and does not end in, the rest of this block is
// zeros: a *cut*.
#include "volume/layer/merged_state.h"

#include <algorithm>
#include <string>
#include <variant>

namespace pgstrata::layer {
namespace {

template <typename Visit>
void ForEachPresentRun(const BlockMap& map, uint64_t begin, Visit&& visit) {
  for (uint64_t at = begin; at < map.end();) {
    const BlockRun run = map.RunAt(at, map.end());
    if (run.state != BlockState::kBelow) visit(run);
    at = run.end;
  }
}

}  // namespace

Status MergedState::AddFile(uint64_t node, const LayerState::FileState& upper) {
  if (!upper.has_size) {
    return Fail(ErrorCode::kCorrupt, "a layer has blocks of file " + std::to_string(node) + " and not its length");
  }
  const bool is_lowest = !state_.files.contains(node);
  LayerState::FileState& file = state_.files[node];
  Cuts& cuts = cuts_[node];
  uint64_t base_limit = upper.base_limit;
  if (!is_lowest) {
    const uint64_t limit = std::min({upper.base_limit, upper.size, file.size});
    const uint64_t last = BlockOf(limit);
    const uint64_t shown = limit % kBlockSize;
    file.map.ClearFrom(BlocksFor(limit));
    cuts.erase(cuts.lower_bound(BlocksFor(limit)), cuts.end());
    if (shown != 0 && limit < upper.size && file.map.At(last) == BlockState::kData) {
      const auto [cut, added] = cuts.emplace(last, shown);
      cut->second = std::min(cut->second, shown);
    }
    base_limit = std::min(limit, file.base_limit);
  }
  ForEachPresentRun(upper.map, 0, [&](const BlockRun& run) {
    file.map.Set(run.begin, run.end, run.state);
    cuts.erase(cuts.lower_bound(run.begin), cuts.lower_bound(run.end));
  });
  file.has_size = true;
  file.size = upper.size;
  file.base_limit = base_limit;
  // Behind the limit nothing has to be hidden.
  ForEachPresentRun(file.map, BlocksFor(base_limit), [&](const BlockRun& run) {
    if (run.state == BlockState::kZero) file.map.Set(run.begin, run.end, BlockState::kBelow);
  });
  return {};
}

Status MergedState::Add(const LayerState& upper) {
  for (const auto& [node, file] : upper.files) PGS_TRY(AddFile(node, file));
  upper.ForEachRecord([this](const Record& record) {
    const bool is_of_file = std::holds_alternative<SizeRecord>(record) || std::holds_alternative<BlocksRecord>(record);
    if (!is_of_file) state_.Apply(Record(record));
  });
  return {};
}

MergedState::Cuts MergedState::CutsOf(uint64_t node) const {
  const auto found = cuts_.find(node);
  return found == cuts_.end() ? Cuts{} : found->second;
}

}  // namespace pgstrata::layer
