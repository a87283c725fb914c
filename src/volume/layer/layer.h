// One layer of an open volume: where its data files lie, and its log.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include "foundation/io/lock.h"
#include "volume/layer/layer_log.h"
#include "volume/layer/layer_storage.h"
#include "volume/layer/open_files.h"
#include "volume/layer/statistics.h"

namespace pgstrata::layer {

// Safe from several threads. Everything referred to outlives it.
class Layer {
 public:
  // What an ephemeral layer is: data files in `directory`, no log.
  Layer(std::string directory, LayerStorage& storage, OpenFiles& open_files, Counters& counters);
  // The layer with this place in its stack. `log` only while it may have to be written: of the topmost one, and of a
  // frozen one until it is sealed.
  Layer(std::string directory, LayerStorage& storage, OpenFiles& open_files, Counters& counters, size_t index,
        std::unique_ptr<LayerLog> log, io::FileLock lock);

  [[nodiscard]] const std::string& directory() const { return directory_; }
  [[nodiscard]] std::string PathOf(uint64_t node) const;
  [[nodiscard]] size_t index() const { return index_; }
  LayerStorage& storage() { return storage_; }
  OpenFiles& open_files() { return open_files_; }
  Counters& counters() { return counters_; }
  LayerLog* log() { return log_.get(); }
  // False for a layer that was frozen when it was opened.
  [[nodiscard]] bool writable() const { return writable_; }

  // A data file was made: what SyncNames wants to know.
  uint64_t NoteCreation() { return created_.fetch_add(1) + 1; }
  // The names of the first `creation` data files are durable.
  Status SyncNames(uint64_t creation);

  Counter data_blocks;  // in its blobs now

 private:
  const std::string directory_;
  const std::string blobs_;
  LayerStorage& storage_;
  OpenFiles& open_files_;
  Counters& counters_;
  const size_t index_;
  const std::unique_ptr<LayerLog> log_;
  const bool writable_;
  const io::FileLock lock_;
  std::atomic<uint64_t> created_ = 0;
  std::mutex names_mutex_;  // held while the directory is synced
  uint64_t names_synced_ = 0;
};

}  // namespace pgstrata::layer
