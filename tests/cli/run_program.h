// A command run in process.
#pragma once

#include <sstream>
#include <string>
#include <vector>

#include "app/cli/command.h"

namespace pgstrata::cli {

struct Ran {
  int status = 0;
  std::string out;
  std::string err;
};

inline Ran RunCommand(const std::vector<std::string>& arguments) {
  std::ostringstream out;
  std::ostringstream err;
  Output output{.out = out, .err = err};
  const int status = RunProgram(arguments, output);
  return {.status = status, .out = out.str(), .err = err.str()};
}

}  // namespace pgstrata::cli
