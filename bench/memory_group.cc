#include "bench/memory_group.h"

#include <fmt/core.h>
#include <unistd.h>

#include "bench/measure.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"

namespace pgstrata::bench {
namespace {

constexpr const char* kVersion1 = "/sys/fs/cgroup/memory";
constexpr const char* kVersion2 = "/sys/fs/cgroup";

void Write(const std::string& path, const std::string& text) {
  Must(Must(io::File::Open(path, O_WRONLY)).WriteAt(0, AsBytes(text)));
}

}  // namespace

MemoryGroup::MemoryGroup(const std::string& name, uint64_t bytes) {
  const bool version1 = io::Exists(std::string(kVersion1) + "/cgroup.procs");
  path_ = fmt::format("{}/pgstrata-bench-{}-{}", version1 ? kVersion1 : kVersion2, ::getpid(), name);
  Must(io::MakeDirectories(path_, 0755));
  try {
    Write(path_ + (version1 ? "/memory.limit_in_bytes" : "/memory.max"), std::to_string(bytes));
  } catch (...) {
    ::rmdir(path_.c_str());
    throw;
  }
}

MemoryGroup::~MemoryGroup() {
  // Who lives still goes on without a bound.
  const std::string above = path_.substr(0, path_.rfind('/'));
  if (const auto text = io::ReadWholeFile(path_ + "/cgroup.procs")) {
    for (const auto line : SplitLines(*text)) {
      if (auto file = io::File::Open(above + "/cgroup.procs", O_WRONLY)) {
        static_cast<void>(file->WriteAt(0, AsBytes(std::string(line))));
      }
    }
  }
  ::rmdir(path_.c_str());
}

void MemoryGroup::Add(pid_t process) const {
  Write(path_ + "/cgroup.procs", std::to_string(process));
  const std::string children = Must(io::ReadWholeFile(fmt::format("/proc/{0}/task/{0}/children", process)));
  for (const auto child : Split(TrimWhitespace(children), ' ')) {
    if (const auto pid = ParseDecimal(child)) Add(static_cast<pid_t>(*pid));
  }
}

}  // namespace pgstrata::bench
