#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "branch/branch/session.h"
#include "foundation/base/error.h"

namespace pgstrata::branch {

// The command line of a psql on `session` whose prompt names the source. It reads the user's own psqlrc first. The
// session and its ClientEnvironment() have to outlive the client. kUnavailable when no psql is installed.
Result<std::vector<std::string>> PsqlCommand(const Session& session, std::string_view source_name);

}  // namespace pgstrata::branch
