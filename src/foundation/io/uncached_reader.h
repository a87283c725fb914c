// Reading a file without filling the page cache: for who gives the bytes to somebody that caches them himself (a FUSE
// mount), so that memory is not spent twice and nothing is copied twice.
//
// A range that is wholly in the page cache is taken from there; any other comes from the disk straight to where the
// caller wants it (O_DIRECT). It is an ordinary read where that is not known to be better: on other file systems than
// ext4, XFS and btrfs (their page cache may be another's, or their direct reads flush whole files); where the kernel
// does not tell what is cached (before 6.5, or to who neither owns the file nor may write it); and where a range is
// not aligned to 4 KiB or waits to be written.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "foundation/base/bytes.h"
#include "foundation/base/error.h"
#include "foundation/io/fd.h"
#include "foundation/io/file.h"

namespace pgstrata::io {

// Safe from several threads. Holds a second descriptor from the first direct read on. A file that is also written is
// read rightly, but its reads and writes wait for each other.
class UncachedReader {
 public:
  // `file` is open for reading and outlives it.
  explicit UncachedReader(const File& file) : file_(file) {}

  // As File::ReadAt: up to out.size() bytes at `offset`; less only at the end of the file. Bytes that others write
  // meanwhile are the old ones or the new ones.
  Result<size_t> ReadAt(uint64_t offset, MutableBytes out) const;
  // Whether there are direct reads of this file. Opens it for them.
  [[nodiscard]] bool ReadsDirectly() const { return DirectDescriptor() >= 0; }

 private:
  [[nodiscard]] bool IsBetterDirect(uint64_t offset, MutableBytes out) const;
  // -1 where there are no direct reads.
  [[nodiscard]] int DirectDescriptor() const;

  const File& file_;
  mutable std::once_flag opened_;
  mutable UniqueFd direct_;                    // written by who opens it, once
  mutable std::atomic<bool> refused_ = false;  // a direct read, or the question what is cached
};

}  // namespace pgstrata::io
