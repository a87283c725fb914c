#pragma once

#include <cstdint>
#include <functional>

#include "volume/layer/file_content.h"

namespace pgstrata::layer {

// Makes one of the changes of a copy; fails where that may not be made.
using CopyStep = std::function<vfs::FsStatus(const std::function<vfs::FsStatus()>& change)>;

// Copies up to `length` bytes, fewer at the end of `from`; holes become holes. Returns how many; an error only when
// there were none. EINVAL where both are one file and the ranges overlap. Takes no lock of one file while it holds one
// of the other; a change of `from` meanwhile may or may not be in the copy.
vfs::FsResult<uint64_t> CopyContent(FileContent& from, uint64_t from_offset, FileContent& to, uint64_t to_offset,
                                    uint64_t length, const CopyStep& step);

}  // namespace pgstrata::layer
