// A backup in a pgBackRest repository as a source.
#pragma once

#include <string>

#include "backup/source/source.h"
#include "foundation/base/error.h"

namespace pgstrata::source {

// `rest` is REPO/STANZA[/LABEL] or STANZA[/LABEL]. Where it names no repository, what the configuration says of the
// stanza's repositories is used: that of the smallest number which has the backup. Without a LABEL it is the backup
// that ended last. It may also be a native path that IsPgbackrestPath knows: a place in a backup is that backup; of the
// backups in a stanza's directory, or in REPO, one is chosen.
Result<ResolvedSource> ResolvePgbackrest(const std::string& rest, const SourceRequest& request);

// Whether this native path is a repository, a stanza's directory in it, a backup, or a place in a backup.
bool IsPgbackrestPath(const std::string& path);

}  // namespace pgstrata::source
