// Compressed bytes for tests, made by the real tools.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "foundation/io/file.h"
#include "foundation/io/process.h"
#include "tests/support/scratch_directory.h"

namespace pgstrata::test {

// What `tool` ("gzip", "lz4", "zstd", "bzip2") makes of `content`.
inline std::string Compressed(const std::string& tool, const std::string& content) {
  const ScratchDirectory directory;
  const std::string path = directory.path() + "/plain";
  EXPECT_TRUE(io::WriteWholeFile(path, content).has_value());
  io::SpawnOptions options;
  options.argv = {tool, "-q", "-c", path};
  const auto run = io::RunAndCapture(options);
  if (!run || run->status.AsShell() != 0) {
    ADD_FAILURE() << tool << " did not run; the tests need gzip, lz4, zstd and bzip2";
    return {};
  }
  return run->standard_output;
}

}  // namespace pgstrata::test
