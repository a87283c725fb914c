// Reading a file without filling the page cache: for who gives the bytes to somebody that caches them himself (a FUSE
// mount), so that memory is not spent twice and nothing is copied twice.
//
// Bytes that are in the page cache already are taken from there; all others come from the disk straight to where the
// caller wants them (O_DIRECT). Where the kernel cannot tell what is cached (before 6.5), or the file system has no
// direct reads, or a request is not aligned to 4 KiB, it is an ordinary read.
#pragma once

#include <cstdint>
#include <mutex>

#include "foundation/base/bytes.h"
#include "foundation/base/error.h"
#include "foundation/io/fd.h"
#include "foundation/io/file.h"

namespace pgstrata::io {

// Safe from several threads. Holds a second descriptor from the first direct read on.
class UncachedFile {
 public:
  // `file` is open for reading.
  explicit UncachedFile(File file) : file_(std::move(file)) {}

  // As File::ReadAt: up to out.size() bytes at `offset`; less only at the end of the file. Bytes that are being written
  // meanwhile by others are the old ones or the new ones.
  Result<size_t> ReadAt(uint64_t offset, MutableBytes out) const;
  [[nodiscard]] File& file() { return file_; }
  [[nodiscard]] const File& file() const { return file_; }

 private:
  // A descriptor of the same file for direct reads; -1 where there is none.
  [[nodiscard]] int Direct() const;

  File file_;
  mutable std::once_flag opened_;
  mutable UniqueFd direct_;  // written by who opens it, once
};

}  // namespace pgstrata::io
