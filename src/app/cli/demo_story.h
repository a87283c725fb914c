#pragma once

#include <string>

#include "app/cli/command.h"
#include "foundation/base/error.h"

namespace pgstrata::cli {

struct DemoRequest {
  std::string pg_bin;
  std::string user = "postgres";
};

// Makes a cluster in a directory of its own below the home, backs it up, drops a table as if by accident, opens the
// backup, and copies the rows back; tells each step with its time and the bytes that it copied. Everything it made is
// gone afterwards, also when a signal ends it: the answer is the exit status, 0 or 128 + that signal. Blocks signals
// (see SignalQueue).
Result<int> TellDemo(const DemoRequest& request, Output& output);

}  // namespace pgstrata::cli
