// What a process may write, by the kernel's Landlock (Linux 5.19 and later): a set of directories with all below,
// whatever path leads there. Reading, running programs, and changing modes and owners stay as they are.
//
// Source: the kernel's Documentation/userspace-api/landlock.rst.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace pgstrata::io {

class WriteRestriction {
 public:
  // Paths that do not exist when it is applied are left out.
  explicit WriteRestriction(std::vector<std::string> writable);
  // Whether this kernel has it.
  static bool IsPossible();
  // Restricts the calling process for good, and what it starts. Only async-signal-safe calls; false with errno set.
  // Without root it also gives up set-user-ID programs.
  [[nodiscard]] bool Apply() const;

 private:
  std::vector<std::string> writable_;
  uint64_t rights_ = 0;  // all rights to write that this kernel knows
};

}  // namespace pgstrata::io
