// How the source of a branch is opened again.
//
// This room knows no kind of source by itself: whoever calls it says how one is opened (docs/architecture.md, the order
// of the rooms).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backup/image/image.h"
#include "foundation/base/error.h"

namespace pgstrata::branch {

inline constexpr const char* kDirectorySource = "dir";

// All paths are absolute.
struct SourceReference {
  std::string kind = kDirectorySource;  // a KIND of docs/sources.md
  std::string path;                     // links resolved; of a catalog the backup's
  std::vector<std::string> chain;       // what an incremental backup stands on, the oldest first
  // More WAL that it was made with. A branch has what it needs of it and is opened without.
  std::vector<std::string> wal_directories;
  bool force = false;           // what its catalog calls damaged is opened all the same
  std::string passphrase_file;  // of an encrypted catalog; empty: the passphrase comes from elsewhere. It is not kept
  bool operator==(const SourceReference&) const = default;
};

using SourceOpener = std::function<Result<std::shared_ptr<const image::Image>>(const SourceReference& reference)>;

// For a source that is open already.
inline SourceOpener AlwaysOpen(std::shared_ptr<const image::Image> image) {
  return [image = std::move(image)](const SourceReference&) -> Result<std::shared_ptr<const image::Image>> {
    return image;
  };
}

}  // namespace pgstrata::branch
