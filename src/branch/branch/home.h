// Where pgstrata keeps what it needs while it works.
#pragma once

#include <string>

#include "foundation/base/error.h"

namespace pgstrata::branch {

// $PGSTRATA_HOME; else /var/lib/pgstrata for root (whose own home the server's user could not enter); else
// $XDG_STATE_HOME/pgstrata or ~/.local/state/pgstrata. Nothing is created.
Result<std::string> HomeDirectory();

// The same with every symbolic link resolved, as far as it is there: for comparing with what is mounted.
Result<std::string> ResolvedHomeDirectory();

// The directory of the sessions of `open`, below the home.
std::string SessionsDirectory(const std::string& home);

}  // namespace pgstrata::branch
