// Clients of a server of ours: their environment and psql's command line.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "branch/branch/login.h"
#include "foundation/base/error.h"
#include "foundation/io/process.h"
#include "postgres/instance/installation.h"

namespace pgstrata::branch {

// The variables that lead a client to the server: PGHOST, PGPORT, PGDATABASE, PGUSER, PGOPTIONS.
io::Environment ConnectionEnvironment(const std::string& socket_directory, const Login& login);
// The caller's environment, less every variable of libpq, with that.
io::Environment ClientEnvironment(const std::string& socket_directory, const Login& login);

// A psqlrc that reads the user's own and then names `name` in the prompt.
std::string PsqlrcText(std::string_view name);
// The command line of a psql. kUnavailable when none is installed.
Result<std::vector<std::string>> PsqlCommand(const instance::Installation& installation);

}  // namespace pgstrata::branch
