#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "branch/branch/session.h"
#include "foundation/base/error.h"

namespace pgstrata::branch {

// What makes every psql in ClientEnvironment() of `session` read the user's own psqlrc and name the source in its
// prompt.
Status WritePsqlrc(const Session& session, std::string_view source_name);
// The command line of a psql on `session`. The session and its ClientEnvironment() have to outlive the client.
// kUnavailable when no psql is installed.
Result<std::vector<std::string>> PsqlCommand(const Session& session);

}  // namespace pgstrata::branch
