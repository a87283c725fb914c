// What the user names becomes an image and its WAL.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backup/image/image.h"
#include "backup/image/wal_archive.h"
#include "backup/source/in_use.h"
#include "backup/source/source_name.h"
#include "foundation/base/error.h"

namespace pgstrata::source {

struct SourceRequest {
  std::string source;                        // as typed; see source_name.h
  std::vector<std::string> wal_directories;  // each --wal, in their order
  // A source that a running server uses is resolved all the same, for a command that only says what it is.
  bool may_be_in_use = false;
};

struct ResolvedSource {
  SourceKind kind = SourceKind::kDirectory;
  std::unique_ptr<image::Image> image;
  std::vector<std::unique_ptr<image::WalArchive>> wal_archives;  // one for each --wal
  std::string path;                                              // absolute, links resolved
  std::string display_name;                                      // short, one line, printable: for a prompt
  std::optional<RunningServer> used_by;                          // only with may_be_in_use
};

// Costs a few look-ups: nothing is scanned.
// kUsage: not in the grammar. kUnsupported: a kind of source, or a format, that this version does not open. kNotFound:
// no such path or name. kInvalidArgument: not a directory, or not a backup. kBusy: a running server uses the directory
// or what a link of it leads to.
Result<ResolvedSource> Resolve(const SourceRequest& request);

}  // namespace pgstrata::source
