// Work on a FileSystem by path, for preparing one before it is mounted: what must not be mounted may not be opened by
// the operating system's calls either.
//
// Paths are relative to the root, without a leading slash; "" is the root. Links on the way are followed, also the last
// one, except where a function says otherwise; a link that leads out of the FileSystem is kInvalidArgument. Errors name
// the path. Safe from several threads as far as they do not work on the same path.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "foundation/base/bytes.h"
#include "foundation/base/error.h"
#include "volume/vfs/file_system.h"

namespace pgstrata::vfs {

// The whole of a file. More than `limit` bytes is kUnsupported: nothing that is read so is large.
Result<std::string> ReadFileAt(FileSystem& fs, std::string_view path, uint64_t limit = 16ULL << 20);
// Creates the file or replaces its content, permission bits and owner. Its directory exists. When it fails the file may
// hold a part.
Status WriteFileAt(FileSystem& fs, std::string_view path, ByteView bytes, mode_t mode, Owner owner);
// Removes a file, a link (not what it leads to) or a directory with everything below. Nothing there is success.
Status RemoveAt(FileSystem& fs, std::string_view path);
// A directory that is there already is success and stays as it is. Its parent exists.
Status MakeDirectoryAt(FileSystem& fs, std::string_view path, mode_t mode, Owner owner);
// Whether something has this name; false also where that cannot be told, and then whatever follows says why.
bool ExistsAt(FileSystem& fs, std::string_view path);
// The names in a directory, sorted by bytes.
Result<std::vector<std::string>> ListAt(FileSystem& fs, std::string_view path);

}  // namespace pgstrata::vfs
