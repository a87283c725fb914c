// A secret that the user types.
#pragma once

#include <string>

#include "foundation/base/error.h"

namespace pgstrata::cli {

// Asks on the terminal, which does not show what is typed. kPermission where there is no terminal, kCancelled where
// nothing was typed.
Result<std::string> AskPassphrase(const std::string& prompt);

}  // namespace pgstrata::cli
