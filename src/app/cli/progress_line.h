// How far a long command is, on one line of a terminal that is written over; nothing in a pipe.
#pragma once

#include <functional>
#include <string>
#include <thread>

#include "app/cli/command_line.h"

namespace pgstrata::cli {

// Shows what `say` gives, several times a second, until it is destroyed; then the line is empty again. `say` is called
// by another thread. Nothing is shown where output.err is no terminal.
class ProgressLine {
 public:
  ProgressLine(Output& output, std::function<std::string()> say);
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

 private:
  std::jthread writer_;
};

}  // namespace pgstrata::cli
