#include "volume/layer/deferred_storage.h"

#include <atomic>

namespace pgstrata::layer {
namespace {

class DeferredFile final : public StorageFile {
 public:
  DeferredFile(std::shared_ptr<StorageFile> file, io::SyncBatch& syncs)
      : state_(std::make_shared<State>(std::move(file))), syncs_(syncs) {}
  Result<size_t> ReadAt(uint64_t offset, MutableBytes out) const override { return file().ReadAt(offset, out); }
  Status WriteAt(uint64_t offset, ByteView bytes) override { return file().WriteAt(offset, bytes); }
  Status Truncate(uint64_t size) override { return file().Truncate(size); }
  Status PunchHole(uint64_t offset, uint64_t length) override { return file().PunchHole(offset, length); }
  Status Allocate(uint64_t offset, uint64_t length) override { return file().Allocate(offset, length); }
  Status CopyFrom(const StorageFile& from, uint64_t offset, uint64_t length) override {
    return file().CopyFrom(static_cast<const DeferredFile&>(from).file(), offset, length);
  }
  Status DataSync() override {
    if (state_->waits.exchange(true)) return {};
    return syncs_.Add([state = state_] {
      state->waits = false;  // what is written from now on needs another
      return state->file->DataSync();
    });
  }
  [[nodiscard]] Result<uint64_t> Size() const override { return file().Size(); }

 private:
  struct State {
    explicit State(std::shared_ptr<StorageFile> opened) : file(std::move(opened)) {}
    std::shared_ptr<StorageFile> file;
    std::atomic<bool> waits = false;
  };
  [[nodiscard]] StorageFile& file() const { return *state_->file; }

  std::shared_ptr<State> state_;
  io::SyncBatch& syncs_;
};

}  // namespace

Result<std::shared_ptr<StorageFile>> DeferredStorage::Open(const std::string& path, OpenMode mode) {
  PGS_ASSIGN(auto file, storage_.Open(path, mode));
  return std::make_shared<DeferredFile>(std::move(file), syncs_);
}

}  // namespace pgstrata::layer
