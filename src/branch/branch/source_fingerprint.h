// What a source was when a branch was made of it, so that one that changed since is noticed before it is mounted.
// docs/format/catalogue.md has the format.
//
// Of any image: what tells it apart is what Image::VisitParts says. No data is read; each function looks at every file
// that the image is made of once.
#pragma once

#include <cstdint>
#include <string>

#include "backup/image/image.h"
#include "foundation/base/error.h"

namespace pgstrata::branch {

struct Fingerprints {
  std::string text;         // as the file holds it
  uint64_t file_bytes = 0;  // of the files among the parts, those in pg_wal aside
};
// Reads pg_control and backup_label of it.
Result<Fingerprints> TakeFingerprints(const image::Image& image);

// What the file at `path` holds. kCorrupt where it is damaged.
Result<std::string> ReadFingerprints(const std::string& path);

// kCorrupt, naming the first part that is another, missing or new, where `image` is not what was written down in the
// file at `path`; or where that file is damaged. From then on the image watches its files as they are now.
Status CheckFingerprints(const image::Image& image, const std::string& path);

// Whether `image` is the same backup, wherever it lies now: pg_control and backup_label are the same to the byte, and
// it is made of parts of the same names and sizes. kInvalidArgument, naming the first that differs.
Status CheckSameBackup(const image::Image& image, const std::string& path);

// Durable; replaces what was there.
Status WriteFingerprints(const std::string& path, const Fingerprints& fingerprints);

}  // namespace pgstrata::branch
