// libpq comes with twenty further libraries (Kerberos, LDAP, GnuTLS), which cost a process about 4 ms before main().
// Only commands that talk to a server need it, and those wait for that server meanwhile: so it is loaded when it is
// first called, and whoever knows that it will be calls LoadLibpq while it waits for something else.
#pragma once

#include "foundation/base/error.h"

namespace pgstrata::client {

// Loads libpq, once; from any thread. kUnavailable, with the package to install, where it is not installed or too old.
Status LoadLibpq();

}  // namespace pgstrata::client
