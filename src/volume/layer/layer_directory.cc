#include "volume/layer/layer_directory.h"

#include <random>

#include "foundation/base/text.h"
#include "volume/layer/layer_file.h"

namespace pgstrata::layer {

// 48 bits, so that every program can hold it; PostgreSQL derives its shared memory's key from the lower 32, of which
// one is set always.
uint64_t RandomRootNumber() {
  std::random_device random;
  const uint64_t high = random() & 0xFFFF;
  return high << 32 | random() | 1;
}

Status MakeLayer(const std::string& directory, LayerStorage& storage) {
  PGS_TRY(MakeLayerDirectories(storage, directory));
  const LogHeader header{.id = RandomLayerId(), .root_inode = RandomRootNumber()};
  PGS_ASSIGN(const auto log, storage.Open(LogPath(directory), OpenMode::kCreate));
  PGS_TRY(log->WriteAt(0, AsBytes(EncodeLogHeader(header))));
  PGS_TRY(log->DataSync());
  PGS_TRY(storage.SyncDirectory(directory));
  return SyncParentOf(storage, directory);
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
