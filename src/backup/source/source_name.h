// The grammar of what a user types as SOURCE (docs/sources.md):
//   SOURCE := PATH | KIND ":" REST | NAME | NAME "@" TIME | URI | "-"
//   PATH   : holds a "/", or is "." or ".."
//   KIND   : dir tar pg_probackup pgbackrest store branch
//   NAME   : [A-Za-z0-9][A-Za-z0-9._-]*, but not "latest"
//   URI    : postgres:// or postgresql://
// KIND and URI are looked for first, so a path that begins with such a word is written with "./" before it. PATH and
// REST are never split at "@".
#pragma once

#include <string>
#include <string_view>

#include "foundation/base/error.h"

namespace pgstrata::source {

enum class SourceKind { kDirectory, kTar, kPgProbackup, kPgbackrest, kStore, kBranch, kName, kServer, kStandardInput };

struct SourceName {
  SourceKind kind = SourceKind::kDirectory;
  std::string rest;  // the path, REST, NAME or URI; empty for "-"
  std::string time;  // TIME of NAME@TIME; empty where none is given
  bool operator==(const SourceName&) const = default;
};

// "dir", "pgbackrest": the KIND that names a source of this kind by its path. `kind` is one of kDirectory, kTar,
// kPgProbackup and kPgbackrest.
std::string_view KindWord(SourceKind kind);

// kUsage where `text` is nothing of the grammar.
Result<SourceName> ParseSourceName(std::string_view text);

}  // namespace pgstrata::source
