#include "bench/plain_mount.h"

#include <utility>

#include "bench/measure.h"
#include "foundation/io/process.h"

namespace pgstrata::bench {

PlainMount::PlainMount(std::string program, const std::string& source, std::string mountpoint,
                       const std::string& changes)
    : program_(std::move(program)), mountpoint_(std::move(mountpoint)) {
  std::vector<std::string> argv = {program_, "mount", source, mountpoint_};
  if (changes.empty()) {
    argv.emplace_back("--read-only");
  } else {
    argv.insert(argv.end(), {"--diff-dir", changes});
  }
  RunProgram({.argv = argv, .environment = io::CurrentEnvironment()});
}

PlainMount::~PlainMount() {
  static_cast<void>(io::RunAndCapture({.argv = {program_, "unmount", "--force", mountpoint_}}));
}

codec::Json PlainMount::Stat() const {
  return Must(codec::ParseJson(
      RunProgram({.argv = {program_, "stat", "--json", mountpoint_}, .environment = io::CurrentEnvironment()}).output));
}

}  // namespace pgstrata::bench
