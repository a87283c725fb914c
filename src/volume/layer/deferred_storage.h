// Storage for layers that nobody refers to yet: what is made of them becomes durable later, all at once.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "foundation/io/sync_batch.h"
#include "volume/layer/layer_storage.h"

namespace pgstrata::layer {

// `storage`, but what a sync would have made durable is so after `syncs`' Run, which has to come before anybody trusts
// the layer. Both outlive it and its files, and the syncs that wait.
class DeferredStorage final : public LayerStorage {
 public:
  explicit DeferredStorage(io::SyncBatch& syncs, LayerStorage& storage = NativeStorage())
      : syncs_(syncs), storage_(storage) {}

  Result<std::shared_ptr<StorageFile>> Open(const std::string& path, OpenMode mode) override;
  Status MakeDirectories(const std::string& path) override { return storage_.MakeDirectories(path); }
  Result<std::vector<std::string>> List(const std::string& directory) override { return storage_.List(directory); }
  Status Rename(const std::string& from, const std::string& to) override { return storage_.Rename(from, to); }
  Status Link(const std::string& from, const std::string& to) override { return storage_.Link(from, to); }
  Status Remove(const std::string& path) override { return storage_.Remove(path); }
  Status SyncDirectory(const std::string& path) override {
    return syncs_.Add([&storage = storage_, path] { return storage.SyncDirectory(path); });
  }
  Result<io::DiskSpace> Space(const std::string& directory) override { return storage_.Space(directory); }
  Result<io::FileLock> Lock(const std::string& path) override { return storage_.Lock(path); }

 private:
  io::SyncBatch& syncs_;
  LayerStorage& storage_;
};

}  // namespace pgstrata::layer
