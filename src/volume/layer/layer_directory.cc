#include "volume/layer/layer_directory.h"

#include <random>

#include "foundation/base/text.h"
#include "volume/layer/layer_file.h"

namespace pgstrata::layer {
namespace {

std::string ParentOf(const std::string& path) {
  const size_t end = path.find_last_not_of('/');
  const size_t slash = path.find_last_of('/', end);
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

// 48 bits, so that every program can hold it; PostgreSQL derives its shared memory's key from the lower 32, of which
// one is set always.
uint64_t RandomRootNumber() {
  std::random_device random;
  const uint64_t high = random() & 0xFFFF;
  return high << 32 | random() | 1;
}

Status MakeLayer(const std::string& directory, LayerStorage& storage) {
  PGS_TRY(storage.MakeDirectories(directory));
  PGS_ASSIGN(const auto names, storage.List(directory));
  if (!names.empty()) {
    return Fail(Error(ErrorCode::kAlreadyExists, "the layer's directory " + Quoted(directory) + " is not empty")
                    .WithHint("choose another directory, or remove what is in this one"));
  }
  std::random_device random;
  LogHeader header{.root_inode = RandomRootNumber()};
  for (std::byte& byte : header.id) byte = static_cast<std::byte>(random());
  PGS_TRY(storage.MakeDirectories(BlobsPath(directory)));
  PGS_ASSIGN(const auto log, storage.Open(LogPath(directory), OpenMode::kCreate));
  PGS_TRY(log->WriteAt(0, AsBytes(EncodeLogHeader(header))));
  PGS_TRY(log->DataSync());
  PGS_TRY(storage.SyncDirectory(directory));
  return storage.SyncDirectory(ParentOf(directory));
}

Status SealLayer(const std::string& directory, LayerStorage& storage) {
  {
    PGS_ASSIGN(const LayerFile unlocked, ReadLayerFile(storage, directory, OpenMode::kRead));
    if (unlocked.header.sealed) return {};
  }
  PGS_ASSIGN(const io::FileLock lock, storage.Lock(LockPath(directory)));
  PGS_ASSIGN(LayerFile file, ReadLayerFile(storage, directory, OpenMode::kRead));
  if (file.header.sealed) return {};
  PGS_TRY(SyncDataFiles(storage, file));
  return RewriteLog(storage, file, true);
}

Result<LayerFacts> ReadLayerFacts(const std::string& directory, LayerStorage& storage) {
  PGS_ASSIGN(const LayerFile file, ReadLayerFile(storage, directory, OpenMode::kRead));
  const SealRecord totals = file.state.Totals();
  return LayerFacts{.id = file.header.id,
                    .version = file.header.version,
                    .sealed = file.header.sealed,
                    .root_inode = file.header.root_inode,
                    .nodes = totals.nodes,
                    .data_bytes = totals.bytes,
                    .log_bytes = file.end};
}

}  // namespace pgstrata::layer
