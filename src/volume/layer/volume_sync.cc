// Making a volume durable, and freezing its topmost layer.
#include <thread>

#include "foundation/base/log.h"
#include "foundation/base/text.h"
#include "volume/layer/layer_file.h"
#include "volume/layer/volume.h"
#include "volume/vfs/errno_map.h"

namespace pgstrata::layer {
namespace {

Error ToError(vfs::Errno error, std::string_view what) { return Error::FromErrno(error.value, what); }

}  // namespace

vfs::FsStatus Volume::SyncLog(uint64_t position) {
  const auto synced = stack_.SyncTo(position);
  if (synced) {
    log_failure_reported_.store(false);
    return {};
  }
  if (!log_failure_reported_.exchange(true)) log::Error("the volume's log fails: {}", synced.error().message());
  return std::unexpected(vfs::ToErrno(synced.error()));
}

vfs::FsStatus Volume::Sync(vfs::Inode inode, bool data_only) {
  const auto found = Find(inode);
  if (!found) return std::unexpected(found.error());
  if (!stack_.durable() || unsafe_syncs_) return {};
  Node& node = **found;
  uint64_t position = 0;
  if (node.content) {
    if (const auto synced = node.content->Sync(); !synced) return synced;
    position = node.content->log_position();
  }
  if (!data_only) journal_.RecordAttributes(node);
  return SyncLog(std::max(position, node.log_position.load()));
}

vfs::FsStatus Volume::SyncDirectory(vfs::Inode inode) {
  const auto node = FindDirectory(inode);
  if (!node) return std::unexpected(node.error());
  if (!stack_.durable() || unsafe_syncs_) return {};
  journal_.RecordAttributes(**node);
  return SyncLog(stack_.end());
}

// Those that fail stay in the list of changed nodes, as do those whose space cannot be given back yet.
vfs::FsStatus Volume::SyncChanged(std::vector<NodePtr>& nodes) {
  vfs::FsStatus first;
  for (const NodePtr& node : nodes) {
    if (node->content) {
      const auto synced = node->content->Sync();
      if (!synced) journal_.NoteChange(*node);
      if (!synced && first) first = synced;
    }
    bool named = false;
    {
      const std::scoped_lock lock(node->mutex);
      named = node->attributes.link_count != 0;
    }
    if (named) journal_.RecordAttributes(*node);
  }
  return first;
}

Status Volume::Flush() {
  if (!stack_.durable()) return {};
  const std::scoped_lock lock(maintenance_mutex_);
  std::vector<NodePtr> nodes = journal_.TakeChanged();
  const auto files = SyncChanged(nodes);
  const auto log = SyncLog(stack_.end());
  for (const NodePtr& node : nodes) {
    if (node->content && !node->content->DiscardFreed()) journal_.NoteChange(*node);
  }
  if (!files) return Fail(ToError(files.error(), "could not make the volume's files durable"));
  if (!log) return Fail(ToError(log.error(), "could not write the volume's log"));
  return Seal();
}

Status Volume::Close() {
  if (!stack_.durable()) return {};
  PGS_TRY(Flush());
  return stack_.top().log()->SetMark(LayerLog::Mark::kClean);
}

Status Volume::Tend() {
  if (!stack_.durable()) return {};
  const std::scoped_lock lock(maintenance_mutex_);
  if (const auto log = SyncLog(stack_.end()); !log) {
    return Fail(ToError(log.error(), "could not write the volume's log"));
  }
  for (const NodePtr& node : journal_.TakeChanged()) {
    const bool discarded = !node->content || node->content->DiscardFreed();
    // What ended is let go, and with it an open file, which would keep its space.
    const bool over = discarded && unsealed_ == nullptr && inodes_.Find(node->inode) == nullptr;
    if (!over) journal_.NoteChange(*node);
  }
  return {};
}

// All that files owe to the frozen layer is recorded by now.
Status Volume::Seal() {
  if (unsealed_ == nullptr) return {};
  LayerLog& log = *unsealed_->log();
  log.Append(SealRecord{.bytes = unsealed_->data_blocks.value() * kBlockSize});
  PGS_TRY(log.SyncTo(log.end()));
  PGS_TRY(log.SetMark(LayerLog::Mark::kSealed));
  unsealed_ = nullptr;
  return {};
}

// A request may be writing to a slow disk: nobody waits for it longer than a moment, and then it is tried again.
std::chrono::microseconds Volume::Swap(std::unique_ptr<Layer> layer) {
  using std::chrono::steady_clock;
  constexpr std::chrono::microseconds kPatience(2'000);
  constexpr std::chrono::milliseconds kPause(2);
  steady_clock::duration longest{};
  bool closed = false;
  while (!closed) {
    const auto begin = steady_clock::now();
    closed = gate_.TryClose(kPatience);
    if (closed) {
      unsealed_ = &stack_.top();
      stack_.Push(std::move(layer));
      gate_.Open();
    }
    longest = std::max(longest, steady_clock::now() - begin);
    if (!closed) std::this_thread::sleep_for(kPause);
  }
  return std::chrono::duration_cast<std::chrono::microseconds>(longest);
}

Result<FreezeReport> Volume::Freeze(const std::string& new_layer) {
  if (!stack_.durable()) return Fail(ErrorCode::kUnsupported, "this volume cannot be frozen: it is not durable");
  PGS_TRY(Flush());  // what is durable before the cut need not be made so after it
  const std::scoped_lock lock(maintenance_mutex_);
  Layer& old = stack_.top();
  LayerStorage& storage = old.storage();
  PGS_ASSIGN(auto layer_lock, storage.Lock(LockPath(new_layer)));
  PGS_ASSIGN(LayerFile file, ReadLayerFile(storage, new_layer, OpenMode::kWrite));
  if (file.header.sealed || file.size != kLogHeaderBytes) {
    return Fail(ErrorCode::kInvalidArgument, "the layer " + Quoted(new_layer) + " is not empty");
  }
  auto log = std::make_unique<LayerLog>(file.log, file.header, file.end);
  auto layer = std::make_unique<Layer>(new_layer, storage, open_files_, counters_, old.index() + 1, std::move(log),
                                       std::move(layer_lock));
  FreezeReport report{.held = Swap(std::move(layer))};
  std::vector<NodePtr> nodes = journal_.TakeChanged();
  const auto files = SyncChanged(nodes);
  for (const NodePtr& node : nodes) journal_.NoteChange(*node);  // what they freed is given back by Tend
  report.sealed = files ? Seal() : Fail(ToError(files.error(), "could not make the frozen layer durable"));
  return report;
}

}  // namespace pgstrata::layer
