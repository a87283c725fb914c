#include "bench/conditions.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bench/measure.h"
#include "foundation/base/text.h"
#include "foundation/io/file.h"
#include "tests/support/postgres_cluster.h"

namespace pgstrata::bench {
namespace {

// The value of "NAME : VALUE" in a file of such lines.
std::string FieldOf(const std::string& path, std::string_view name) {
  const auto text = io::ReadWholeFile(path);
  if (!text) return "unknown";
  for (const auto line : SplitLines(*text)) {
    const size_t colon = line.find(':');
    if (line.starts_with(name) && colon != std::string_view::npos) {
      return std::string(TrimWhitespace(line.substr(colon + 1)));
    }
  }
  return "unknown";
}

std::string FirstLineOf(const std::vector<std::string>& argv) {
  const std::string output = test::Run(argv);
  return std::string(TrimWhitespace(std::string_view(output).substr(0, output.find('\n'))));
}

}  // namespace

std::vector<std::string> Conditions(const std::string& directory) {
  utsname kernel{};
  ::uname(&kernel);
  return {fmt::format("machine: {} processors ({}), memory {}", ::sysconf(_SC_NPROCESSORS_ONLN),
                      FieldOf("/proc/cpuinfo", "model name"), FieldOf("/proc/meminfo", "MemTotal")),
          fmt::format("kernel: {} {}", kernel.sysname, kernel.release),
          "PostgreSQL: " + FirstLineOf({test::PostgresProgram("postgres"), "--version"}),
          "file system: " + FirstLineOf({"findmnt", "-n", "-o", "FSTYPE,SOURCE,OPTIONS", "--target", directory})};
}

std::string LoadAverage() {
  const auto text = io::ReadWholeFile("/proc/loadavg");
  return text ? text->substr(0, text->find(' ')) : "unknown";
}

void DropCaches() {
  ::sync();
  Must(Must(io::File::Open("/proc/sys/vm/drop_caches", O_WRONLY)).WriteAt(0, AsBytes("3")));
}

}  // namespace pgstrata::bench
