// How a volume comes into being: with an empty ephemeral layer, or from the logs of a stack of durable ones.
#include <fmt/core.h>
#include <sys/resource.h>

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "foundation/base/log.h"
#include "foundation/base/text.h"
#include "volume/layer/layer_directory.h"
#include "volume/layer/layer_file.h"
#include "volume/layer/restore.h"
#include "volume/layer/volume.h"

namespace pgstrata::layer {
namespace {

constexpr mode_t kPrivate = 0700;
constexpr mode_t kGroupReadable = 0750;
// A log that is shorter is not worth rewriting.
constexpr uint64_t kRewriteFrom = 64 << 10;

size_t DefaultOpenFiles() {
  constexpr size_t kMost = 16384;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return kMost / 16;
  return std::clamp<size_t>(limit.rlim_cur / 8 * 3, 16, kMost);  // each may have a second descriptor
}

Result<image::Entry> ShownRoot(const image::Image& image) {
  PGS_ASSIGN(image::Entry root, image.Stat(""));
  if (root.kind != image::EntryKind::kDirectory) {
    return Fail(ErrorCode::kInvalidArgument, Quoted(image.name()) + " is not a directory");
  }
  root.mode = root.mode == kGroupReadable ? kGroupReadable : kPrivate;
  return root;
}

Result<io::FileLock> LockLayer(LayerStorage& storage, const std::string& directory) {
  auto lock = storage.Lock(LockPath(directory));
  if (lock || lock.error().code() != ErrorCode::kBusy) return lock;
  return Fail(Error(ErrorCode::kBusy, "the layer " + Quoted(directory) + " is in use by another process")
                  .WithHint("end what serves it first; it is not opened twice"));
}

// What is known of nodes that are not there any more is not worth keeping.
void ForgetDead(LayerState& state, const std::vector<uint64_t>& dead) {
  for (const uint64_t node : dead) state.Apply(EndRecord{node});
}

// The end of the log that was not whole can never come back, and what was read is durable.
Status CutTail(LayerFile& file) {
  if (file.header.clean) {
    file.header.clean = false;  // from now on nobody knows
    PGS_TRY(file.log->WriteAt(0, AsBytes(EncodeLogHeader(file.header))));
  }
  if (file.size != file.end) PGS_TRY(file.log->Truncate(file.end));
  file.size = file.end;
  return file.log->DataSync();
}

Status RemoveOrphans(LayerStorage& storage, const LayerFile& file) {
  std::unordered_set<std::string> needed;
  for (const auto& [node, content] : file.state.files) {
    if (content.map.data_blocks() != 0) needed.insert(fmt::format("{:x}", node));
  }
  PGS_ASSIGN(const auto names, storage.List(BlobsPath(file.directory)));
  for (const auto& name : names) {
    if (!needed.contains(name)) PGS_TRY(storage.Remove(BlobsPath(file.directory) + '/' + name));
  }
  return {};
}

// The topmost layer is made fit for writing.
Status PrepareTopmost(LayerStorage& storage, LayerFile& file) {
  PGS_TRY(storage.Remove(file.directory + "/log.new"));
  if (file.end > kRewriteFrom && file.end > 2 * RewrittenBytes(file)) {
    PGS_TRY(RewriteLog(storage, file, false));
  } else {
    PGS_TRY(CutTail(file));
  }
  return RemoveOrphans(storage, file);
}

Result<std::vector<LayerFile>> ReadLayers(LayerStorage& storage, const StackOptions& options) {
  std::vector<LayerFile> files;
  for (size_t i = 0; i < options.layers.size(); ++i) {
    const bool written = i + 1 == options.layers.size() && !options.read_only;
    PGS_ASSIGN(LayerFile file, ReadLayerFile(storage, options.layers[i], written ? OpenMode::kWrite : OpenMode::kRead));
    if (written && file.header.sealed) {
      return Fail(Error(ErrorCode::kInvalidArgument, "the layer " + Quoted(file.directory) + " is sealed")
                      .WithHint("a sealed layer is never written again; put an empty one on top of it"));
    }
    // What was frozen and not sealed yet when its process died may not be durable.
    if (!written && !options.read_only && !file.header.sealed) {
      PGS_TRY(file.log->DataSync());
      PGS_TRY(SyncDataFiles(storage, file));
    }
    files.push_back(std::move(file));
  }
  return files;
}

}  // namespace

struct Volume::Parts {
  std::shared_ptr<const image::Image> image;
  bool read_only = false;
  bool unsafe_syncs = false;
  bool durable = false;
  size_t max_open_files = 0;
  vfs::Owner owner;
  uint64_t root_inode = 0;
  size_t own_from = 0;
};

Volume::Volume(Parts parts)
    : image_(std::move(parts.image)),
      read_only_(parts.read_only),
      unsafe_syncs_(parts.unsafe_syncs),
      open_files_(parts.max_open_files != 0 ? parts.max_open_files : DefaultOpenFiles()),
      stack_(parts.durable, parts.own_from),
      journal_(stack_),
      inodes_(*image_, stack_, open_files_, counters_, parts.owner, parts.root_inode),
      names_(*image_, inodes_, journal_) {}

Result<std::unique_ptr<Volume>> Volume::Create(VolumeOptions options) {
  PGS_ASSIGN(const image::Entry root, ShownRoot(*options.image));
  PGS_TRY(io::MakeDirectories(options.directory));
  PGS_ASSIGN(const auto names, io::ListDirectory(options.directory));
  if (!names.empty()) {
    return Fail(Error(ErrorCode::kAlreadyExists, "the layer's directory " + Quoted(options.directory) + " is not empty")
                    .WithHint("choose another directory, or remove what is in this one"));
  }
  std::unique_ptr<Volume> volume(new Volume({.image = std::move(options.image),
                                             .max_open_files = options.max_open_files,
                                             .owner = options.owner,
                                             .root_inode = RandomRootNumber()}));
  volume->stack_.Push(
      std::make_unique<Layer>(std::move(options.directory), NativeStorage(), volume->open_files_, volume->counters_));
  volume->inodes_.MakeFromImage(root, "", vfs::kRootInode)->references = 1;
  return volume;
}

Result<std::unique_ptr<Volume>> Volume::Open(StackOptions options) {
  if (options.layers.empty() && !options.read_only) {
    return Fail(ErrorCode::kInvalidArgument, "a volume that can be written needs a layer");
  }
  PGS_ASSIGN(const image::Entry root, ShownRoot(*options.image));
  return OpenStack(std::move(options), root);
}

Result<std::unique_ptr<Volume>> Volume::OpenStack(StackOptions options, const image::Entry& root) {
  LayerStorage& storage = options.storage != nullptr ? *options.storage : NativeStorage();
  io::FileLock lock;
  if (!options.read_only) {
    // A layer that is not there is not to be made by its lock.
    PGS_ASSIGN(const auto there, storage.Open(LogPath(options.layers.back()), OpenMode::kRead));
    PGS_ASSIGN(lock, LockLayer(storage, options.layers.back()));
  }
  PGS_ASSIGN(std::vector<LayerFile> files, ReadLayers(storage, options));
  std::vector<LayerState*> states;
  states.reserve(files.size());
  for (LayerFile& file : files) states.push_back(&file.state);
  StackState state(states);
  const bool distrusted = !options.read_only && !files.back().header.clean;
  if (!options.read_only) {
    ForgetDead(files.back().state, state.dead());
    if (files.back().end > kRewriteFrom) state.DropIdleNames(*options.image);
    PGS_TRY(PrepareTopmost(storage, files.back()));
  }
  std::unique_ptr<Volume> volume(
      new Volume({.image = std::move(options.image),
                  .read_only = options.read_only,
                  .unsafe_syncs = options.unsafe_syncs,
                  .durable = !options.read_only,
                  .max_open_files = options.max_open_files,
                  .owner = options.owner,
                  .root_inode = files.empty() ? RandomRootNumber() : files.back().header.root_inode,
                  .own_from = options.own_from}));
  for (size_t i = 0; i < files.size(); ++i) {
    const bool written = i + 1 == files.size() && !options.read_only;
    io::FileLock layer_lock;
    if (written) std::swap(layer_lock, lock);
    auto log = written ? std::make_unique<LayerLog>(files[i].log, files[i].header, files[i].end) : nullptr;
    volume->stack_.Push(std::make_unique<Layer>(files[i].directory, storage, volume->open_files_, volume->counters_, i,
                                                std::move(log), std::move(layer_lock)));
  }
  for (const NodePtr& node : state.Build(volume->inodes_, volume->stack_, distrusted)) {
    volume->journal_.NoteChange(*node);
  }
  if (!state.has_root()) volume->inodes_.MakeFromImage(root, "", vfs::kRootInode);
  volume->inodes_.Find(vfs::kRootInode)->references = 1;
  volume->inodes_.StartNumbersAt(state.numbers());
  volume->journal_.StartNumbersAt(state.numbers());
  return volume;
}

}  // namespace pgstrata::layer
