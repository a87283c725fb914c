// The log of a layer as a file: read as a whole, and rewritten as a whole.
#pragma once

#include <memory>
#include <string>

#include "volume/layer/layer_state.h"
#include "volume/layer/layer_storage.h"

namespace pgstrata::layer {

struct LayerFile {
  std::string directory;
  std::shared_ptr<StorageFile> log;
  LogHeader header;
  LayerState state;
  uint64_t end = 0;   // of the frames
  uint64_t size = 0;  // of the file
};

// Reads the log of the layer in `directory`. kNotFound where there is none, kCorrupt for a sealed one that does not end
// with its Seal.
Result<LayerFile> ReadLayerFile(LayerStorage& storage, const std::string& directory, OpenMode mode);
// Every data file that the log names becomes durable, as far as that is not known: what a process wrote over durable
// blocks, and did not sync, may be in memory only.
Status SyncDataFiles(LayerStorage& storage, const LayerFile& file);
// What `file` says is written anew and takes the place of its log, durably; with a Seal or without.
Status RewriteLog(LayerStorage& storage, LayerFile& file, bool seal);
// How long the log would be if it were rewritten.
uint64_t RewrittenBytes(const LayerFile& file);

// The directories of a new layer. kAlreadyExists where something is in `directory`.
Status MakeLayerDirectories(LayerStorage& storage, const std::string& directory);
LayerId RandomLayerId();
// The name of `directory` becomes durable.
Status SyncParentOf(LayerStorage& storage, const std::string& directory);

std::string LogPath(const std::string& directory);
std::string BlobsPath(const std::string& directory);
std::string BlobPath(const std::string& directory, uint64_t node);
std::string LockPath(const std::string& directory);

}  // namespace pgstrata::layer
