// The content of an image, one line a file: what `ls --checksum` prints, to be compared with what a restore wrote.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "backup/image/image.h"
#include "foundation/codec/sha256.h"

namespace pgstrata::image {

struct FileChecksum {
  std::string path;  // relative to PGDATA; tablespaces are below pg_tblspc/OID/
  uint64_t size = 0;
  uint32_t mode = 0;
  codec::Sha256Digest digest{};
};

// Calls `visit` for every regular file below `directory` (links are no files), or for `directory` itself where that is
// a file, in the order of the bytes of the paths. Files are read by `threads` threads, `visit` is called by the
// caller's. The first error, of a file or of `visit`, ends it.
Status VisitChecksums(const Image& image, std::string_view directory, unsigned threads,
                      const std::function<Status(const FileChecksum&)>& visit);

// "sha256 size mode path", the mode as four octal digits, without the newline.
std::string FormatChecksumLine(const FileChecksum& file);

// A path on one line, escaped as sha256sum does: a newline becomes \n, a backslash two of them.
std::string EscapePath(std::string_view path);

}  // namespace pgstrata::image
