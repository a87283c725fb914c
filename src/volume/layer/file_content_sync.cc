// Making a file durable. The rule of all: the log names a block as data only after fdatasync of the data file. So what
// a file owes is set aside, the data file is synced, and then recorded is what nobody has taken out of the set
// meanwhile: a block that was truncated away, and perhaps written anew, is not in it any more.
#include <algorithm>
#include <utility>

#include "volume/layer/file_content.h"

namespace pgstrata::layer {

// What `syncing` and syncing_length say is true on disk.
void FileContent::AppendSynced(Blob& blob) {
  const uint64_t length = std::max(blob.logged_length, blob.syncing_length);
  if (length > blob.logged_length || !blob.length_is_logged) AppendLength(blob, length);
  BlocksRecord record{.node = node_};
  const auto append = [&] { NotePosition(LayerStack::Append(blob.layer, std::exchange(record, {.node = node_}))); };
  const uint64_t end = blob.syncing.end();
  for (uint64_t at = 0; at < end;) {
    const BlockRun run = blob.syncing.RunAt(at, end);
    if (run.state == BlockState::kData) record.runs.push_back(run);
    if (record.runs.size() == kMaxRunsInRecord) append();
    at = run.end;
  }
  if (!record.runs.empty()) append();
  blob.syncing = {};
}

vfs::FsStatus FileContent::SyncTop() {
  std::unique_lock lock(change_mutex_);
  const std::shared_ptr<Blob> blob = newest_;
  if (!blob || removed_ || blob->layer.log() == nullptr || !blob->Owes()) return {};
  blob->syncing = std::exchange(blob->owed, {});
  blob->syncing_length = blob->length;
  blob->unsynced = false;
  lock.unlock();
  const auto status = blob->data.Sync();
  lock.lock();
  if (!status) {
    blob->unsynced = true;
    blob->owed.SetAll(blob->syncing);
    blob->syncing = {};
    if (newest_ != blob && std::ranges::find(owing_, blob) == owing_.end()) owing_.push_back(blob);
    return status;
  }
  if (newest_ == blob && !removed_) AppendSynced(*blob);
  return {};
}

vfs::FsStatus FileContent::SyncFrozen() {
  std::vector<std::shared_ptr<Blob>> owing;
  {
    const std::scoped_lock lock(change_mutex_);
    owing = owing_;
  }
  for (const auto& blob : owing) {
    if (const auto status = blob->data.Sync(); !status) return status;
    blob->unsynced = false;
    blob->syncing = std::exchange(blob->owed, {});
    blob->syncing_length = blob->length;
    AppendSynced(*blob);
    const std::scoped_lock lock(change_mutex_);
    std::erase(owing_, blob);
  }
  return {};
}

vfs::FsStatus FileContent::Sync() {
  const std::scoped_lock lock(sync_mutex_);
  if (const auto status = SyncFrozen(); !status) return status;
  if (const auto status = SyncTop(); !status) return status;
  return SyncFrozen();  // what SyncTop found frozen under its hands
}

bool FileContent::Owes() {
  const std::scoped_lock lock(change_mutex_);
  return !owing_.empty() || (newest_ && newest_->Owes());
}

bool FileContent::DiscardFreed() {
  const std::scoped_lock lock(change_mutex_);
  std::erase_if(freed_, [this](const Freed& freed) {
    if (!stack_.IsDurable(freed.position)) return false;
    Blob& blob = *freed.blob;
    if (removed_) {
      blob.data.Remove();
      return true;
    }
    const uint64_t map_end = blob.map.end();
    const uint64_t data_end = blob.map.RunAt(std::min(freed.begin, map_end), map_end + 1).end;
    if (data_end > map_end && blob.map.At(freed.begin) != BlockState::kData) {
      {
        const std::unique_lock state(state_mutex_);
        ++blob.cuts;
      }
      blob.data.Truncate(freed.begin * kBlockSize);  // nothing else follows
      return true;
    }
    for (uint64_t at = freed.begin; at < freed.end;) {
      const BlockRun run = blob.map.RunAt(at, freed.end);
      const uint64_t length = (run.end - run.begin) * kBlockSize;
      if (run.state != BlockState::kData) blob.data.Discard(run.begin * kBlockSize, length);
      at = run.end;
    }
    return true;
  });
  return freed_.empty();
}

}  // namespace pgstrata::layer
