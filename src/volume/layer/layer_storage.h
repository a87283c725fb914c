// The operations on disk of which everything durable in a layer is made: few, so that tests can stand under them and
// lose what was not synced. Paths are native paths, offsets and lengths bytes.
//
// What is promised: bytes are durable after DataSync, names after SyncDirectory of their directory; before that a power
// cut may keep any of them and lose others.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "foundation/base/bytes.h"
#include "foundation/base/error.h"
#include "foundation/io/directory.h"
#include "foundation/io/lock.h"

namespace pgstrata::layer {

// Safe from several threads.
class StorageFile {
 public:
  virtual ~StorageFile() = default;
  // Up to out.size() bytes; fewer only at the end of the file.
  virtual Result<size_t> ReadAt(uint64_t offset, MutableBytes out) const = 0;
  // All of `bytes`, or fails and may have written a part.
  virtual Status WriteAt(uint64_t offset, ByteView bytes) = 0;
  virtual Status Truncate(uint64_t size) = 0;
  virtual Status PunchHole(uint64_t offset, uint64_t length) = 0;
  // Reserves room for [offset, offset + length) without changing the size or what is read. kUnsupported where the host
  // cannot.
  virtual Status Allocate(uint64_t offset, uint64_t length) = 0;
  // [offset, offset + length) of `from`, a file of the same storage, comes to the same place here: shared where the
  // host can do that, else copied. kCorrupt where `from` ends before.
  virtual Status CopyFrom(const StorageFile& from, uint64_t offset, uint64_t length) = 0;
  // Bytes and length become durable. After a failure nobody knows what is.
  virtual Status DataSync() = 0;
  [[nodiscard]] virtual Result<uint64_t> Size() const = 0;
};

enum class OpenMode { kRead, kWrite, kCreate };  // kCreate: for writing, made if it is missing

// Safe from several threads.
class LayerStorage {
 public:
  virtual ~LayerStorage() = default;
  virtual Result<std::shared_ptr<StorageFile>> Open(const std::string& path, OpenMode mode) = 0;
  // mkdir -p.
  virtual Status MakeDirectories(const std::string& path) = 0;
  virtual Result<std::vector<std::string>> List(const std::string& directory) = 0;
  virtual Status Rename(const std::string& from, const std::string& to) = 0;
  // A second name for the file `from`. kUnsupported where the host has none.
  virtual Status Link(const std::string& from, const std::string& to) = 0;
  // Nothing there is success.
  virtual Status Remove(const std::string& path) = 0;
  virtual Status SyncDirectory(const std::string& path) = 0;
  virtual Result<io::DiskSpace> Space(const std::string& directory) = 0;
  // kBusy where another process has it.
  virtual Result<io::FileLock> Lock(const std::string& path) = 0;
};

// The file system of this machine.
LayerStorage& NativeStorage();

}  // namespace pgstrata::layer
