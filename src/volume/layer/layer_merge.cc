// Invariants:
//   - a layer of the run is opened for reading only: it may be served, shared and merged by others at the same time;
//   - the new layer's log is written last, when every byte and every name that it refers to is durable, and it is
//     written sealed: a directory without a log is no layer.
//
// A file of which one layer has all that is still seen is linked: it costs no space and no time. That leaves blocks in
// it that nothing shows any more; where they are more than an eighth of it, and where several layers have a part, the
// blocks are copied: at their offsets, the newest of each, what lies between them stays a hole.
#include "volume/layer/layer_merge.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <utility>

#include "foundation/base/text.h"
#include "volume/layer/layer_file.h"
#include "volume/layer/merged_state.h"
#include "volume/layer/restore.h"

namespace pgstrata::layer {
namespace {

// So much is copied before the next look whether to go on.
constexpr uint64_t kCopyStep = 4 << 20;
// A linked file may hold one useless block for so many useful ones.
constexpr uint64_t kUsefulPerUseless = 8;

// Data blocks [begin, end) of a file, which the layer `source` of the run has.
struct Piece {
  size_t source = 0;
  uint64_t begin = 0;
  uint64_t end = 0;
};

// The data file of one node.
struct PlannedFile {
  uint64_t node = 0;
  std::optional<size_t> linked_to;  // the layer whose file it is too
  std::vector<Piece> pieces;        // what is copied where it cannot be linked
  MergedState::Cuts cuts;
};

class LayerMerge {
 public:
  LayerMerge(const MergeOptions& options, LayerStorage& storage) : options_(options), storage_(storage) {}

  Result<MergeReport> Run() {
    PGS_TRY(ReadLogs());
    PGS_TRY(PutTogether());
    PGS_TRY(Plan());
    PGS_TRY(MakeLayerDirectories(storage_, options_.directory));
    for (const PlannedFile& file : files_) PGS_TRY(Place(file));
    PGS_TRY(storage_.SyncDirectory(BlobsPath(options_.directory)));
    PGS_TRY(WriteLog());
    return report_;
  }

 private:
  Status ReadLogs() {
    if (options_.run.empty()) return Fail(ErrorCode::kInvalidArgument, "there is no layer to merge");
    for (const auto& directory : options_.below) {
      PGS_ASSIGN(LayerFile file, ReadLayerFile(storage_, directory, OpenMode::kRead));
      below_.push_back(std::move(file.state));
    }
    for (const auto& directory : options_.run) {
      PGS_ASSIGN(LayerFile file, ReadLayerFile(storage_, directory, OpenMode::kRead));
      if (!file.header.sealed) {
        return Fail(ErrorCode::kInvalidArgument, "the layer " + Quoted(directory) + " is not sealed");
      }
      report_.bytes_before += file.state.Totals().bytes;
      header_.root_inode = file.header.root_inode;
      run_.push_back(std::move(file.state));
    }
    return {};
  }

  // What nobody can see any more is left out.
  Status PutTogether() {
    for (const LayerState& layer : run_) PGS_TRY(merged_.Add(layer));
    const std::vector<uint64_t> dead = Stack().dead();
    for (const uint64_t node : dead) merged_.state().Apply(EndRecord{node});
    if (options_.image) Stack().DropIdleNames(*options_.image);
    return {};
  }
  StackState Stack() {
    std::vector<LayerState*> stack;
    stack.reserve(below_.size() + 1);
    for (LayerState& layer : below_) stack.push_back(&layer);
    stack.push_back(&merged_.state());
    return StackState(stack);
  }

  Status Plan() {
    for (const auto& [node, file] : merged_.state().files) {
      if (file.map.data_blocks() == 0) continue;
      PGS_ASSIGN(PlannedFile planned, PlanFile(node, file.map));
      report_.bytes_after += file.map.data_blocks() * kBlockSize;
      report_.files_linked += planned.linked_to ? 1 : 0;
      if (!planned.linked_to) to_copy_ += file.map.data_blocks() * kBlockSize;
      files_.push_back(std::move(planned));
    }
    std::ranges::sort(files_, {}, &PlannedFile::node);
    return {};
  }
  Result<PlannedFile> PlanFile(uint64_t node, const BlockMap& map) const {
    PlannedFile planned{.node = node, .cuts = merged_.CutsOf(node)};
    for (uint64_t at = 0; at < map.end();) {
      const BlockRun run = map.RunAt(at, map.end());
      at = run.end;
      if (run.state != BlockState::kData) continue;
      for (uint64_t begin = run.begin; begin < run.end;) {
        PGS_ASSIGN(const Piece piece, FindPiece(node, begin, run.end));
        planned.pieces.push_back(piece);
        begin = piece.end;
      }
    }
    const size_t source = planned.pieces.front().source;
    const auto from_source = [&](const Piece& piece) { return piece.source == source; };
    if (!planned.cuts.empty() || !std::ranges::all_of(planned.pieces, from_source)) return planned;
    const uint64_t there = run_[source].files.at(node).map.data_blocks();
    if ((there - map.data_blocks()) * kUsefulPerUseless > map.data_blocks()) return planned;
    planned.linked_to = source;
    return planned;
  }
  // The newest layer that has something of a block is the one that has its bytes.
  [[nodiscard]] Result<Piece> FindPiece(uint64_t node, uint64_t begin, uint64_t end) const {
    for (size_t layer = run_.size(); layer-- > 0;) {
      const auto file = run_[layer].files.find(node);
      if (file == run_[layer].files.end()) continue;
      const BlockRun run = file->second.map.RunAt(begin, end);
      if (run.state == BlockState::kData) return Piece{layer, begin, run.end};
      if (run.state == BlockState::kZero) break;
      end = run.end;
    }
    return Fail(ErrorCode::kInternal, "merging layers lost a block of file " + std::to_string(node));
  }

  Status Place(const PlannedFile& file) {
    const std::string path = BlobPath(options_.directory, file.node);
    if (!file.linked_to) return Copy(file, path);
    const Status linked = storage_.Link(BlobPath(options_.run[*file.linked_to], file.node), path);
    if (linked || linked.error().code() != ErrorCode::kUnsupported) return linked;
    to_copy_ += merged_.state().files.at(file.node).map.data_blocks() * kBlockSize;
    --report_.files_linked;
    return Copy(file, path);
  }
  Status Copy(const PlannedFile& file, const std::string& path) {
    PGS_ASSIGN(const auto to, storage_.Open(path, OpenMode::kCreate));
    std::map<size_t, std::shared_ptr<StorageFile>> sources;
    for (const Piece& piece : file.pieces) {
      auto& from = sources[piece.source];
      if (!from) {
        PGS_ASSIGN(from, storage_.Open(BlobPath(options_.run[piece.source], file.node), OpenMode::kRead));
      }
      PGS_TRY(CopyBytes(*from, *to, piece.begin * kBlockSize, piece.end * kBlockSize));
    }
    constexpr std::array<std::byte, kBlockSize> kZeroBlock{};
    for (const auto& [block, shown] : file.cuts) {
      PGS_TRY(to->WriteAt(block * kBlockSize + shown, ByteView(kZeroBlock).subspan(shown)));
    }
    return to->DataSync();
  }
  Status CopyBytes(const StorageFile& from, StorageFile& to, uint64_t begin, uint64_t end) {
    for (uint64_t at = begin; at < end;) {
      if (options_.progress) PGS_TRY(options_.progress(report_.bytes_copied, to_copy_));
      const uint64_t count = std::min(kCopyStep, end - at);
      PGS_TRY(to.CopyFrom(from, at, count));
      at += count;
      report_.bytes_copied += count;
    }
    return {};
  }

  Status WriteLog() {
    header_.id = RandomLayerId();
    header_.generation = 0;
    LayerFile file{.directory = options_.directory, .header = header_, .state = std::move(merged_.state())};
    PGS_TRY(RewriteLog(storage_, file, true));
    return SyncParentOf(storage_, options_.directory);
  }

  const MergeOptions& options_;
  LayerStorage& storage_;
  LogHeader header_;
  std::vector<LayerState> below_;
  std::vector<LayerState> run_;
  MergedState merged_;
  std::vector<PlannedFile> files_;
  uint64_t to_copy_ = 0;
  MergeReport report_;
};

}  // namespace

Result<MergeReport> MergeLayers(const MergeOptions& options, LayerStorage& storage) {
  return LayerMerge(options, storage).Run();
}

}  // namespace pgstrata::layer
