#include <csignal>
#include <iostream>

#include "app/cli/command.h"

int main(int argc, char** argv) {
  // A closed pipe or terminal is an error of the write that meets it, never the end of a program that has to clean up.
  std::signal(SIGPIPE, SIG_IGN);
  pgstrata::cli::Output output{.out = std::cout, .err = std::cerr};
  return pgstrata::cli::RunProgram(std::vector<std::string>(argv + 1, argv + argc), output);
}
