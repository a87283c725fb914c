// The directory of a server's socket: the address of a Unix socket holds 107 bytes, and a home directory may be longer.
#pragma once

#include <string>

#include "foundation/base/error.h"
#include "foundation/io/process.h"

namespace pgstrata::branch {

// `directory` itself where its path is short enough; else a new one below /tmp, private to `owner`, to which the link
// LINK leads.
Result<std::string> MakeSocketDirectory(const std::string& directory, const std::string& link,
                                        const io::UserIdentity& owner);
// Removes what LINK leads to, as far as MakeSocketDirectory made it, and LINK. No link is success.
Status RemoveSocketDirectory(const std::string& link);

}  // namespace pgstrata::branch
