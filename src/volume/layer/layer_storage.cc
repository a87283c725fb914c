#include "volume/layer/layer_storage.h"

#include "foundation/io/uncached_file.h"

namespace pgstrata::layer {
namespace {

class NativeFile final : public StorageFile {
 public:
  explicit NativeFile(io::File file) : file_(std::move(file)) {}
  Result<size_t> ReadAt(uint64_t offset, MutableBytes out) const override { return file_.ReadAt(offset, out); }
  Status WriteAt(uint64_t offset, ByteView bytes) override { return file_.file().WriteAt(offset, bytes); }
  Status Truncate(uint64_t size) override { return file_.file().Truncate(size); }
  Status PunchHole(uint64_t offset, uint64_t length) override { return file_.file().PunchHole(offset, length); }
  Status Allocate(uint64_t offset, uint64_t length) override { return file_.file().Allocate(offset, length); }
  Status CopyFrom(const StorageFile& from, uint64_t offset, uint64_t length) override {
    return file_.file().CopyFrom(static_cast<const NativeFile&>(from).file_.file(), offset, length);
  }
  Status DataSync() override { return file_.file().DataSync(); }
  [[nodiscard]] Result<uint64_t> Size() const override {
    PGS_ASSIGN(const struct stat status, file_.file().Stat());
    return static_cast<uint64_t>(status.st_size);
  }

 private:
  io::UncachedFile file_;
};

class Native final : public LayerStorage {
 public:
  Result<std::shared_ptr<StorageFile>> Open(const std::string& path, OpenMode mode) override {
    const int flags = mode == OpenMode::kRead ? O_RDONLY : mode == OpenMode::kWrite ? O_RDWR : O_RDWR | O_CREAT;
    PGS_ASSIGN(io::File file, io::File::Open(path, flags));
    return std::make_shared<NativeFile>(std::move(file));
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
