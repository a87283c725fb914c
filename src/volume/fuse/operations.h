// FUSE's requests as calls of a FileSystem. Private to this room.
#pragma once

#include <cstddef>

#define FUSE_USE_VERSION 312
#include <fuse3/fuse_lowlevel.h>

#include "foundation/base/bytes.h"
#include "volume/vfs/file_system.h"

namespace pgstrata::fuse {

// The largest READ and WRITE: 256 pages, the most that libfuse 3.14 negotiates.
constexpr size_t kMaxTransfer = size_t{1} << 20;

// What stands before a WRITE's data.
constexpr size_t kWriteHeader = 80;  // fuse_in_header and fuse_write_in

// What every request finds as its userdata.
struct Served {
  vfs::FileSystem* file_system = nullptr;
  bool writeback = true;
  bool initialized = false;  // set by INIT
};

// At least kMaxTransfer bytes in which the calling thread builds replies. Overwritten by the next request.
void SetReplyBuffer(MutableBytes buffer);

const fuse_lowlevel_ops& Operations();

}  // namespace pgstrata::fuse
