#include "volume/layer/layer_storage.h"

#include <optional>

#include "foundation/io/file.h"
#include "foundation/io/uncached_reader.h"

namespace pgstrata::layer {
namespace {

class NativeFile final : public StorageFile {
 public:
  NativeFile(io::File file, OpenMode mode) : file_(std::move(file)) {
    if (mode == OpenMode::kRead) reader_.emplace(file_);
  }
  Result<size_t> ReadAt(uint64_t offset, MutableBytes out) const override {
    return reader_ ? reader_->ReadAt(offset, out) : file_.ReadAt(offset, out);
  }
  Status WriteAt(uint64_t offset, ByteView bytes) override { return file_.WriteAt(offset, bytes); }
  Status Truncate(uint64_t size) override { return file_.Truncate(size); }
  Status PunchHole(uint64_t offset, uint64_t length) override { return file_.PunchHole(offset, length); }
  Status Allocate(uint64_t offset, uint64_t length) override { return file_.Allocate(offset, length); }
  Status CopyFrom(const StorageFile& from, uint64_t offset, uint64_t length) override {
    return file_.CopyFrom(static_cast<const NativeFile&>(from).file_, offset, length);
  }
  Status DataSync() override { return file_.DataSync(); }
  [[nodiscard]] Result<uint64_t> Size() const override {
    PGS_ASSIGN(const struct stat status, file_.Stat());
    return static_cast<uint64_t>(status.st_size);
  }

 private:
  io::File file_;
  std::optional<io::UncachedReader> reader_;  // of what is not written: reads and writes would wait for each other
};

class Native final : public LayerStorage {
 public:
  Result<std::shared_ptr<StorageFile>> Open(const std::string& path, OpenMode mode) override {
    const int flags = mode == OpenMode::kRead ? O_RDONLY : mode == OpenMode::kWrite ? O_RDWR : O_RDWR | O_CREAT;
    PGS_ASSIGN(io::File file, io::File::Open(path, flags));
    return std::make_shared<NativeFile>(std::move(file), mode);
  }
  Status MakeDirectories(const std::string& path) override { return io::MakeDirectories(path); }
  Result<std::vector<std::string>> List(const std::string& directory) override { return io::ListDirectory(directory); }
  Status Rename(const std::string& from, const std::string& to) override { return io::Rename(from, to); }
  Status Link(const std::string& from, const std::string& to) override { return io::LinkFile(from, to); }
  Status Remove(const std::string& path) override { return io::RemoveFile(path); }
  Status SyncDirectory(const std::string& path) override { return io::SyncDirectory(path); }
  Result<io::DiskSpace> Space(const std::string& directory) override { return io::DiskSpaceAt(directory); }
  Result<io::FileLock> Lock(const std::string& path) override { return io::FileLock::TryAcquire(path); }
};

}  // namespace

LayerStorage& NativeStorage() {
  static Native native;
  return native;
}

}  // namespace pgstrata::layer
