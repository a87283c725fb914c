#include "foundation/io/directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "foundation/io/file.h"
#include "tests/support/scratch_directory.h"

namespace pgstrata::io {
namespace {

TEST(DirectoryTest, NamesAreSortedByBytesWithTheirOwnStatus) {
  const test::ScratchDirectory scratch;
  ASSERT_TRUE(MakeDirectories(scratch.path() + "/b/below").has_value());
  ASSERT_TRUE(WriteWholeFile(scratch.path() + "/a\n", "abc").has_value());
  ASSERT_EQ(::symlink("nowhere", (scratch.path() + "/C").c_str()), 0);
  EXPECT_THAT(ListDirectory(scratch.path()).value(), ::testing::ElementsAre("C", "a\n", "b"));
  const auto entries = ListDirectoryWithStatus(scratch.path());
  ASSERT_TRUE(entries.has_value());
  ASSERT_EQ(entries->size(), 3U);
  EXPECT_EQ(entries->at(0).name, "C");
  EXPECT_TRUE(S_ISLNK(entries->at(0).status.st_mode));
  EXPECT_EQ(entries->at(1).status.st_size, 3);
  EXPECT_TRUE(S_ISDIR(entries->at(2).status.st_mode));
}

TEST(DirectoryTest, WhatIsNoDirectoryIsNotTakenForOne) {
  const test::ScratchDirectory scratch;
  ASSERT_TRUE(WriteWholeFile(scratch.path() + "/file", "").has_value());
  ASSERT_EQ(::symlink("nowhere", (scratch.path() + "/dangling").c_str()), 0);
  ASSERT_EQ(::symlink(".", (scratch.path() + "/here").c_str()), 0);
  EXPECT_FALSE(MakeDirectories(scratch.path() + "/file").has_value());
  EXPECT_FALSE(MakeDirectories(scratch.path() + "/dangling").has_value());
  EXPECT_TRUE(MakeDirectories(scratch.path() + "/here").has_value());
}

TEST(DirectoryTest, WhatCannotBeListedIsNamed) {
  const auto listed = ListDirectoryWithStatus("/no/such/directory");
  ASSERT_FALSE(listed.has_value());
  EXPECT_EQ(listed.error().code(), ErrorCode::kNotFound);
  EXPECT_THAT(listed.error().message(), ::testing::HasSubstr("/no/such/directory"));
}

}  // namespace
}  // namespace pgstrata::io
