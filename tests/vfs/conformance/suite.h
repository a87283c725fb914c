// What every FileSystem promises (src/volume/vfs/file_system.h). An implementation's tests instantiate
// FileSystemConformance with functions that make one holding a given tree; where there are several ways for a tree to
// get there (written, from an image), each is a factory of its own.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/scratch_directory.h"
#include "volume/vfs/file_system.h"

namespace pgstrata::vfs {

inline constexpr Owner kOwner{1000, 1001};  // of what the tests make

// Content by path; a path that ends in '/' is a directory. Parents are made as needed.
using Tree = std::map<std::string, std::string>;

struct FileSystemFactory {
  std::string name;
  // `place` lives longer than the result.
  std::function<std::unique_ptr<FileSystem>(const Tree& tree, const test::ScratchDirectory& place)> make;
};
inline void PrintTo(const FileSystemFactory& factory, std::ostream* out) { *out << factory.name; }

// Writes `tree` into `fs` by its own operations.
void WriteTree(FileSystem& fs, const Tree& tree);

class FileSystemConformance : public ::testing::TestWithParam<FileSystemFactory> {
 protected:
  // Anew at each call.
  void Start(const Tree& tree = {}) {
    fs_.reset();
    place_ = std::make_unique<test::ScratchDirectory>();
    fs_ = GetParam().make(tree, *place_);
  }
  FileSystem& fs() { return *fs_; }

  // By path, from the root; failures are reported. Each takes a reference that is kept until the end.
  Attributes Get(std::string_view path);
  Inode InodeOf(std::string_view path) { return Get(path).inode; }
  bool Exists(std::string_view path);
  std::string Content(std::string_view path) { return Content(InodeOf(path)); }
  std::string Content(Inode inode);
  std::string ReadAt(Inode inode, uint64_t offset, size_t length);
  void Write(Inode inode, uint64_t offset, std::string_view bytes);
  void Resize(Inode inode, uint64_t size);
  Inode Create(std::string_view name);  // a file in the root
  std::vector<std::string> List(std::string_view path);
  std::vector<std::string> List(Inode directory);

 private:
  std::unique_ptr<test::ScratchDirectory> place_;
  std::unique_ptr<FileSystem> fs_;
};

// Whether two files' contents are equal; if not, where they begin to differ.
::testing::AssertionResult SameBytes(std::string_view seen, std::string_view expected);

// The errno of a result; 0 when it succeeded.
template <typename R>
int ErrorOf(const R& result) {
  return result ? 0 : result.error().value;
}

}  // namespace pgstrata::vfs
