// Files. Paths are native paths, offsets and lengths bytes. A call that a signal interrupts is made again. All
// functions are safe to call from several threads on the same File.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <vector>

#include "foundation/base/bytes.h"
#include "foundation/base/error.h"
#include "foundation/io/fd.h"

namespace pgstrata::io {

class File {
 public:
  File() = default;

  // Opens with open(2)'s flags; O_CLOEXEC is added. `mode` is used with O_CREAT.
  static Result<File> Open(const std::string& path, int flags, mode_t mode = 0600);

  // Reads up to out.size() bytes at `offset`; less only at the end of the file.
  Result<size_t> ReadAt(uint64_t offset, MutableBytes out) const;
  Status WriteAt(uint64_t offset, ByteView bytes);
  Status Truncate(uint64_t size);
  // Frees [offset, offset + length) without changing the size.
  Status PunchHole(uint64_t offset, uint64_t length);
  // Reserves disk space for [offset, offset + length) without changing the size. kUnsupported where the file system
  // cannot.
  Status Allocate(uint64_t offset, uint64_t length);
  // [offset, offset + length) of `from` comes to the same place here: the file system shares it where it can (reflink),
  // else it is copied. kCorrupt where `from` ends before.
  Status CopyFrom(const File& from, uint64_t offset, uint64_t length);
  // fdatasync(2). After a failure the kernel may have dropped what was not written.
  Status DataSync();
  [[nodiscard]] Result<struct stat> Stat() const;

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] bool valid() const { return fd_.valid(); }
  // The path it was opened by, for messages.
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  UniqueFd fd_;
  std::string path_;
};

// At most `limit` bytes; a larger file is kUnsupported (no file that is read whole is large).
Result<std::string> ReadWholeFile(const std::string& path, uint64_t limit = 64ULL << 20);
// Creates or replaces; not durable.
Status WriteWholeFile(const std::string& path, std::string_view content, mode_t mode = 0600);
// Creates or replaces, durable when it returns: whoever reads it, after a power cut too, finds the old content or the
// new. `path`.new is used on the way, and left behind by an error. For one writer at a time.
Status ReplaceFile(const std::string& path, std::string_view content);

}  // namespace pgstrata::io
