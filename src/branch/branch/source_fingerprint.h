// What a source was when a branch was made of it, so that one that changed since is noticed before it is mounted.
// docs/format/catalogue.md has the format.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "backup/image/directory_image.h"
#include "foundation/base/error.h"

namespace pgstrata::branch {

struct Fingerprints {
  std::string text;            // as the file holds it
  uint64_t logical_bytes = 0;  // all files together, without pg_wal
};
// Looks at every file of `image`, and reads only pg_control and backup_label.
Result<Fingerprints> TakeFingerprints(const image::DirectoryImage& image);

// What the file at `path` holds. kCorrupt where it is damaged.
Result<std::string> ReadFingerprints(const std::string& path);

// kCorrupt, naming the first file that is another, missing or new, where `image` is not what was written down in the
// file at `path`; or where that file is damaged. From then on the image watches the files as they are now.
Status CheckFingerprints(const image::DirectoryImage& image, const std::string& path);

// Whether `image` is the same backup, wherever it lies now: pg_control and backup_label are the same to the byte, and
// it has files of the same paths and sizes. kInvalidArgument, naming the first that differs.
Status CheckSameBackup(const image::DirectoryImage& image, const std::string& path);

// Durable; replaces what was there.
Status WriteFingerprints(const std::string& path, const Fingerprints& fingerprints);

}  // namespace pgstrata::branch
