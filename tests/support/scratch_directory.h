#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <string>

#include "foundation/io/directory.h"

namespace pgstrata::test {

// A fresh directory under $TMPDIR or /tmp, removed with everything in it at the end of the test.
class ScratchDirectory {
 public:
  ScratchDirectory() {
    const char* place = getenv("TMPDIR");
    std::string pattern = std::string(place != nullptr ? place : "/tmp") + "/pgstrata-test-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) ADD_FAILURE() << "mkdtemp failed for " << pattern;
    const auto resolved = io::ResolvePath(pattern);
    path_ = resolved ? *resolved : pattern;
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  ~ScratchDirectory() {
    if (const auto removed = io::RemoveTree(path_); !removed) ADD_FAILURE() << removed.error().message();
  }

  // Absolute, without symbolic links.
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace pgstrata::test
