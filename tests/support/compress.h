// Compressed bytes for tests, made by the real tools.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <string>

#include "foundation/io/file.h"
#include "tests/support/scratch_directory.h"

namespace pgstrata::test {

// What the shell's `command` writes. By popen, which copies none of our page tables: those of a sanitized process are
// large, and a repository is hundreds of such commands.
inline std::string OutputOf(const std::string& command) {
  FILE* const pipe = ::popen(command.c_str(), "re");
  if (pipe == nullptr) {
    ADD_FAILURE() << command;
    return {};
  }
  std::string output;
  std::array<char, 65536> buffer{};
  while (const size_t count = std::fread(buffer.data(), 1, buffer.size(), pipe)) output.append(buffer.data(), count);
  EXPECT_EQ(::pclose(pipe), 0) << command;
  return output;
}

// What `tool` ("gzip", "lz4", "zstd", "bzip2") makes of `content`.
inline std::string Compressed(const std::string& tool, const std::string& content) {
  const ScratchDirectory directory;
  const std::string path = directory.path() + "/plain";
  EXPECT_TRUE(io::WriteWholeFile(path, content).has_value());
  return OutputOf(tool + " -q -c " + path);
}

}  // namespace pgstrata::test
