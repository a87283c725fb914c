#include "backup/image/checksum_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "backup/image/directory_image.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "foundation/io/process.h"
#include "tests/image/conformance.h"
#include "tests/support/memory_image.h"
#include "tests/support/scratch_directory.h"

namespace pgstrata::image {
namespace {

using ::testing::ElementsAre;

Result<std::vector<std::string>> Lines(const Image& image, std::string_view directory = "", unsigned threads = 2) {
  std::vector<std::string> lines;
  PGS_TRY(VisitChecksums(image, directory, threads, [&](const FileChecksum& file) -> Status {
    lines.push_back(FormatChecksumLine(file));
    return {};
  }));
  return lines;
}

TEST(ChecksumListTest, LineHasDigestSizeModeAndPath) {
  test::MemoryImage image;
  image.AddFile("PG_VERSION", "abc", 0640);
  EXPECT_THAT(Lines(image).value(),
              ElementsAre("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad 3 0640 PG_VERSION"));
}

TEST(ChecksumListTest, NewlineAndBackslashAreEscaped) {
  EXPECT_EQ(EscapePath("a\nb\\c"), "a\\nb\\\\c");
  EXPECT_EQ(EscapePath("plain \xFF"), "plain \xFF");
}

TEST(ChecksumListTest, PathsAreSortedByBytesOverAllDirectories) {
  test::MemoryImage image;
  for (const char* path : {"a/1", "a-b", "a.c", "a0", "B"}) image.AddFile(path, "");
  std::vector<std::string> paths;
  ASSERT_TRUE(VisitChecksums(image, "", 3, [&](const FileChecksum& file) -> Status {
                paths.push_back(file.path);
                return {};
              }).has_value());
  EXPECT_THAT(paths, ElementsAre("B", "a-b", "a.c", "a/1", "a0"));
}

TEST(ChecksumListTest, PartOfTheTreeKeepsItsPaths) {
  test::MemoryImage image;
  image.AddFile("base/1/2", "");
  image.AddFile("global/3", "");
  EXPECT_EQ(Lines(image, "base").value().size(), 1U);
  EXPECT_THAT(Lines(image, "base/1/2").value(), ElementsAre(::testing::EndsWith(" base/1/2")));
  EXPECT_EQ(Lines(image, "missing").error().code(), ErrorCode::kNotFound);
}

// sha256sum and stat are the oracle, on the same tree.
TEST(ChecksumListTest, AgreesWithTheSystemsOwnTools) {
  const test::ScratchDirectory place;
  auto tree = SampleTree();
  std::erase_if(tree, [](const auto& node) { return node.first.contains('\n'); });
  WriteTree(tree, place.path());
  ASSERT_EQ(::truncate((place.path() + "/base/zeros").c_str(), 30 << 20), 0);
  const std::string script =
      "cd '" + place.path() +
      "' && find . -type f -printf '%P\\0' | LC_ALL=C sort -z | xargs -0 -I{} sh -c 'printf \"%s %s 0%s %s\\n\" "
      "$(sha256sum <\"$1\" | cut -d\" \" -f1) $(stat -c %s \"$1\") $(stat -c %a \"$1\") \"$1\"' - {}";
  const auto run = io::RunAndCapture({.argv = {"sh", "-c", script}});
  ASSERT_TRUE(run.has_value());
  std::string ours;
  const auto image = *OpenDirectory(place.path());
  const auto lines = Lines(*image);
  ASSERT_TRUE(lines.has_value());
  for (const auto& line : *lines) ours += line + '\n';
  EXPECT_EQ(ours, run->standard_output);
}

TEST(ChecksumListTest, ErrorOfAFileEndsIt) {
  const test::ScratchDirectory place;
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(io::WriteWholeFile(place.path() + "/" + std::to_string(i), "content").has_value());
  }
  const auto image = *OpenDirectory(place.path());
  ASSERT_TRUE(image->List("").has_value());
  ASSERT_TRUE(io::WriteWholeFile(place.path() + "/7", "other").has_value());
  EXPECT_EQ(Lines(*image).error().code(), ErrorCode::kCorrupt);
}

TEST(ChecksumListTest, ErrorOfTheVisitorEndsIt) {
  test::MemoryImage image;
  for (int i = 0; i < 50; ++i) image.AddFile(std::to_string(i), "x");
  int visited = 0;
  const auto status = VisitChecksums(image, "", 2, [&](const FileChecksum&) -> Status {
    return ++visited == 3 ? Status(Fail(ErrorCode::kIo, "closed pipe")) : Status{};
  });
  EXPECT_EQ(status.error().message(), "closed pipe");
  EXPECT_EQ(visited, 3);
}

}  // namespace
}  // namespace pgstrata::image
