// A time limit on the command line.
#pragma once

#include <chrono>
#include <string>

#include "foundation/base/error.h"

namespace pgstrata::cli {

// A whole number of seconds up to a day; kUsage, naming the option, for anything else.
Result<std::chrono::seconds> ParseSeconds(const std::string& option, const std::string& text);

}  // namespace pgstrata::cli
