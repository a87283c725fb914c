#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <iostream>

#include "app/cli/command.h"

int main(int argc, char** argv) {
  // A closed pipe or terminal is an error of the write that meets it, never the end of a program that has to clean up.
  std::signal(SIGPIPE, SIG_IGN);
  // Nor is what it opens ever taken for one of the standard streams.
  int fd = 0;
  while (fd >= 0 && fd <= STDERR_FILENO) fd = ::open("/dev/null", O_RDWR);
  if (fd > STDERR_FILENO) ::close(fd);
  pgstrata::cli::Output output{.out = std::cout, .err = std::cerr};
  return pgstrata::cli::RunProgram(std::vector<std::string>(argv + 1, argv + argc), output,
                                   argc > 0 ? argv[0] : "pgstrata");
}
