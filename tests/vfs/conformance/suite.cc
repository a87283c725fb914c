#include "tests/vfs/conformance/suite.h"

#include <algorithm>
#include <set>

#include "foundation/base/text.h"
#include "volume/vfs/path_ops.h"

namespace pgstrata::vfs {

namespace {}  // namespace

void WriteTree(FileSystem& fs, const Tree& tree) {
  for (const auto& [path, content] : tree) {
    for (size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
      const auto made = MakeDirectoryAt(fs, path.substr(0, slash), 0700, kOwner);
      EXPECT_TRUE(made.has_value()) << made.error().message();
    }
    if (path.ends_with('/')) continue;
    const auto written = WriteFileAt(fs, path, AsBytes(content), 0600, kOwner);
    EXPECT_TRUE(written.has_value()) << written.error().message();
  }
}

::testing::AssertionResult SameBytes(std::string_view seen, std::string_view expected) {
  constexpr size_t kShown = 16;
  if (seen == expected) return ::testing::AssertionSuccess();
  const auto at = static_cast<size_t>(std::ranges::mismatch(seen, expected).in1 - seen.begin());
  return ::testing::AssertionFailure() << seen.size() << " bytes where " << expected.size()
                                       << " were expected, different from byte " << at
                                       << " on: " << ::testing::PrintToString(std::string(seen.substr(at, kShown)))
                                       << " where "
                                       << ::testing::PrintToString(std::string(expected.substr(at, kShown)))
                                       << " was expected";
}

Attributes FileSystemConformance::Get(std::string_view path) {
  auto attributes = fs().GetAttributes(kRootInode);
  for (const auto part : Split(path, '/')) {
    if (part.empty()) continue;
    attributes = fs().Lookup(attributes->inode, part);
    if (!attributes) {
      ADD_FAILURE() << path << ": errno " << attributes.error().value;
      return {};
    }
  }
  return *attributes;
}

bool FileSystemConformance::Exists(std::string_view path) { return ExistsAt(fs(), path); }

std::string FileSystemConformance::Content(Inode inode) {
  const auto attributes = fs().GetAttributes(inode);
  if (!attributes) return "errno " + std::to_string(attributes.error().value);
  return ReadAt(inode, 0, attributes->size + 1);
}

std::string FileSystemConformance::ReadAt(Inode inode, uint64_t offset, size_t length) {
  std::string bytes(length, '?');
  const auto count = fs().Read(inode, offset, std::as_writable_bytes(std::span(bytes)));
  if (!count) return "errno " + std::to_string(count.error().value);
  bytes.resize(*count);
  return bytes;
}

void FileSystemConformance::Write(Inode inode, uint64_t offset, std::string_view bytes) {
  EXPECT_EQ(ErrorOf(fs().Write(inode, offset, AsBytes(bytes))), 0);
}

void FileSystemConformance::Resize(Inode inode, uint64_t size) {
  const auto changed = fs().SetAttributes(inode, {.size = size});
  ASSERT_EQ(ErrorOf(changed), 0);
  EXPECT_EQ(changed->size, size);
}

Inode FileSystemConformance::Create(std::string_view name) {
  const auto made = fs().CreateFile(kRootInode, name, 0600, kOwner);
  EXPECT_EQ(ErrorOf(made), 0);
  return made ? made->inode : Inode{};
}

std::vector<std::string> FileSystemConformance::List(std::string_view path) { return List(InodeOf(path)); }

std::vector<std::string> FileSystemConformance::List(Inode directory) {
  std::vector<std::string> names;
  const auto status = fs().ReadDirectory(directory, 0, [&](const DirectoryEntry& entry) {
    names.emplace_back(entry.name);
    return true;
  });
  EXPECT_EQ(ErrorOf(status), 0);
  std::ranges::sort(names);
  return names;
}

}  // namespace pgstrata::vfs
