// What pg_basebackup wrote, or a data directory, as a source.
#pragma once

#include "backup/source/source.h"
#include "backup/source/source_name.h"
#include "foundation/base/error.h"

namespace pgstrata::source {

// `name` is of the kind kDirectory or kTar. kBusy where a server uses the directory or what a link of it leads to.
Result<ResolvedSource> ResolveBaseBackup(const SourceName& name, const SourceRequest& request);

}  // namespace pgstrata::source
