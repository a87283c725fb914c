// What pg_basebackup wrote becomes an image: plain or tar, full or incremental, named itself or by a directory that
// holds several.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backup/image/image.h"
#include "backup/source/source.h"
#include "foundation/base/error.h"

namespace pgstrata::source {

struct OpenedBaseBackup {
  std::unique_ptr<image::Image> image;
  std::string path;                 // absolute, links resolved: the newest backup, where it stands on others
  bool newest_was_taken = false;    // of several, as request.newest_before says
  bool is_plain_directory = false;  // the image shows the directory at `path` as it is
  // What is read besides: the older backups of its chain, absolute.
  std::vector<std::string> older;
  // The images of those that are plain directories, `path` too. Owned by `image`.
  std::vector<const image::Image*> plain_images;
};

// `name` is of the kind kDirectory or kTar. An incremental backup is put together with those of request.chain, or else
// with those that lie beside it. A directory of backups stands for the newest one of its chain; several are
// kInvalidArgument with a list, or the one that request.choose takes. With request.newest_before any backup of one
// chain is taken, by when it began: when it ended is written nowhere in it.
Result<OpenedBaseBackup> OpenBaseBackup(const SourceName& name, const SourceRequest& request);

}  // namespace pgstrata::source
