// A layer as a directory on disk: made, sealed and looked at while no volume serves it. docs/format/layer.md describes
// what is in it. Paths are native paths.
#pragma once

#include <cstdint>
#include <string>

#include "foundation/base/error.h"
#include "volume/layer/layer_storage.h"
#include "volume/layer/log_format.h"

namespace pgstrata::layer {

// An empty layer, durable when this returns; `directory` is made if it is missing. kAlreadyExists where something is in
// it.
Status MakeLayer(const std::string& directory, LayerStorage& storage = NativeStorage());

// Seals a layer that nobody serves: its log is rewritten, as short as what it says, and never written again. It costs
// the length of the log, whatever the files hold; where the volume was not closed in order also a sync of every data
// file. Success where it is sealed already; kBusy while a process serves it.
Status SealLayer(const std::string& directory, LayerStorage& storage = NativeStorage());

struct LayerFacts {
  LayerId id{};
  uint32_t version = 0;
  bool sealed = false;
  uint64_t root_inode = 0;  // st_ino of the root of a volume that has this layer on top
  uint64_t nodes = 0;       // files, directories and links that it introduces
  uint64_t data_bytes = 0;  // of data blocks, as far as the log knows
  uint64_t log_bytes = 0;
};
// Reads the whole log and changes nothing; also beside the process that serves it. kNotFound where there is no layer,
// kUnsupported for a version that this program does not know, kCorrupt for a damaged one.
Result<LayerFacts> ReadLayerFacts(const std::string& directory, LayerStorage& storage = NativeStorage());

// A st_ino for the root of a volume, so that no two volumes look like one data directory.
uint64_t RandomRootNumber();

}  // namespace pgstrata::layer
