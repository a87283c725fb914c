// The directory of a DecodedCache: the names in it, and making room. Private to decoded_cache*.cc.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "foundation/base/error.h"
#include "foundation/io/file.h"

namespace pgstrata::image {

// The name of whole content in the directory.
std::string CacheFileName(std::string_view key);

// A new file that is being decoded. It is locked for as long as it is open, which tells others that it is in use.
Result<io::File> MakePartFile(const std::string& directory, const std::string& file_name);

// Removes what crashed processes left half decoded.
Status RemoveDeadParts(const std::string& directory);

// Removes whole files, those first that were not used for the longest time, until all files and `wanted` further bytes
// are no more than `limit`. `spared` is not removed.
Status MakeRoomInCache(const std::string& directory, uint64_t limit, uint64_t wanted, const std::string& spared);

// The file was used now.
void MarkUsed(const io::File& file);

}  // namespace pgstrata::image
