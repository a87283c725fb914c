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

TEST(DirectoryTest, RenameReplacesAndDirectoriesCanBeSynced) {
  const test::ScratchDirectory scratch;
  ASSERT_TRUE(WriteWholeFile(scratch.path() + "/new", "new").has_value());
  ASSERT_TRUE(WriteWholeFile(scratch.path() + "/old", "old").has_value());
  ASSERT_TRUE(Rename(scratch.path() + "/new", scratch.path() + "/old").has_value());
  EXPECT_TRUE(SyncDirectory(scratch.path()).has_value());
  EXPECT_THAT(ListDirectory(scratch.path()).value(), ::testing::ElementsAre("old"));
  EXPECT_EQ(ReadWholeFile(scratch.path() + "/old").value(), "new");
  EXPECT_EQ(Rename(scratch.path() + "/new", scratch.path() + "/old").error().code(), ErrorCode::kNotFound);
  EXPECT_FALSE(SyncDirectory(scratch.path() + "/old").has_value());
}

TEST(DirectoryTest, TemporaryDirectoriesAreNewAndPrivate) {
  const test::ScratchDirectory scratch;
  const std::string prefix = scratch.path() + "/made-";
  const mode_t before = ::umask(0);
  const auto first = MakeTemporaryDirectory(prefix);
  const auto second = MakeTemporaryDirectory(prefix);
  ::umask(before);
  ASSERT_TRUE(first && second);
  EXPECT_NE(*first, *second);
  for (const auto& path : {*first, *second}) {
    EXPECT_THAT(path, ::testing::StartsWith(prefix));
    EXPECT_EQ(path.size(), prefix.size() + kRandomSuffix);
    EXPECT_EQ(StatLink(path)->st_mode, mode_t{S_IFDIR | 0700});
    EXPECT_TRUE(ListDirectory(path)->empty());
  }
  const auto nowhere = MakeTemporaryDirectory(scratch.path() + "/absent/made-");
  EXPECT_EQ(nowhere.error().code(), ErrorCode::kNotFound);
  EXPECT_THAT(nowhere.error().message(), ::testing::HasSubstr("absent/made-"));
}

TEST(DirectoryTest, ReservedSpaceChangesNeitherLengthNorContent) {
  const test::ScratchDirectory scratch;
  auto file = File::Open(scratch.path() + "/file", O_RDWR | O_CREAT);
  ASSERT_TRUE(file.has_value());
  const Status reserved = file->Allocate(0, 1 << 20);
  EXPECT_TRUE(reserved || reserved.error().code() == ErrorCode::kUnsupported);
  EXPECT_TRUE(file->DataSync().has_value());
  EXPECT_EQ(file->Stat()->st_size, 0);
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
