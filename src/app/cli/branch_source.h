// The sources of branches: resolved when one is made, and opened again as the catalogue has them.
#pragma once

#include "app/cli/source_options.h"
#include "branch/branch/branch_create.h"
#include "branch/branch/source_reference.h"
#include "foundation/base/error.h"

namespace pgstrata::cli {

// What a branch is to stand on, with everything that it takes to open it again.
Result<branch::BranchSource> BranchSourceOf(source::ResolvedSource resolved, const SourceArguments& arguments);

// Opens sources by what the catalogue has, as ResolveSource does. The last one that it opened stays open and is given
// again: a command that needs a source twice asks for a passphrase once.
branch::SourceOpener SourceReopener();

}  // namespace pgstrata::cli
