// What libpq's text of a failed connection means. libpq keeps the SQLSTATE of a refused connection to itself, but
// prints it when it is verbose. Private to this room and its tests.
#pragma once

#include <string_view>

#include "postgres/client/connection.h"

namespace pgstrata::client {

// `message` is PQerrorMessage() of a failed attempt over a Unix socket with PQERRORS_VERBOSE, in English.
ConnectError ClassifyConnectMessage(std::string_view message);

}  // namespace pgstrata::client
