// Damage to files.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <string>

namespace pgstrata::test {

// Changes the bits of `mask` in the byte at `offset` of a file.
inline void FlipByte(const std::string& path, uint64_t offset, char mask = 0x10) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  ASSERT_TRUE(file.is_open()) << path;
  file.seekg(static_cast<std::streamoff>(offset));
  const char before = static_cast<char>(file.get());
  file.seekp(static_cast<std::streamoff>(offset));
  file.put(static_cast<char>(before ^ mask));
}

}  // namespace pgstrata::test
