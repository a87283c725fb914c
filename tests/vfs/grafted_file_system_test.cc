#include "volume/vfs/grafted_file_system.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/memory_file_system.h"
#include "tests/vfs/conformance/suite.h"
#include "volume/vfs/path_ops.h"
#include "volume/vfs/text_directory.h"

namespace pgstrata::vfs {
namespace {

using ::testing::ElementsAre;

class GraftedTest : public ::testing::Test {
 protected:
  GraftedTest() {
    for (const char* name : {"base", "wal", "hidden"}) {
      EXPECT_TRUE(MakeDirectoryAt(main_, name, 0700, kOwner).has_value());
      EXPECT_TRUE(WriteFileAt(main_, std::string(name) + "/file", AsBytes("main"), 0600, kOwner).has_value());
    }
    EXPECT_TRUE(WriteFileAt(wal_, "file", AsBytes("graft"), 0600, kOwner).has_value());
  }
  static std::string ReadAt(FileSystem& fs, const std::string& path) { return ReadFileAt(fs, path).value_or("absent"); }
  Inode InodeOf(std::string_view name) { return fs_.Lookup(kRootInode, name)->inode; }

  test::MemoryFileSystem main_;
  test::MemoryFileSystem wal_;
  test::MemoryFileSystem secret_;
  GraftedFileSystem fs_{main_,
                        {{.name = "wal", .file_system = &wal_, .listed = true},
                         {.name = "hidden", .file_system = &secret_, .listed = false}}};
};

TEST_F(GraftedTest, AGraftHidesWhatTheRootHasOfItsName) {
  EXPECT_EQ(ReadAt(fs_, "wal/file"), "graft");
  EXPECT_EQ(ReadAt(fs_, "base/file"), "main");
  EXPECT_EQ(ReadAt(fs_, "hidden/file"), "absent");
}

TEST_F(GraftedTest, WhatIsWrittenInAGraftStaysThere) {
  ASSERT_TRUE(WriteFileAt(fs_, "wal/new", AsBytes("passing"), 0600, kOwner).has_value());
  ASSERT_TRUE(WriteFileAt(fs_, "base/new", AsBytes("kept"), 0600, kOwner).has_value());
  EXPECT_EQ(ReadAt(wal_, "new"), "passing");
  EXPECT_EQ(ReadAt(main_, "wal/new"), "absent");
  EXPECT_EQ(ReadAt(main_, "base/new"), "kept");
}

TEST_F(GraftedTest, TheRootListsOnlyWhatIsToBeListed) {
  EXPECT_THAT(*ListAt(fs_, ""), ElementsAre("base", "wal"));
  EXPECT_THAT(*ListAt(fs_, "wal"), ElementsAre("file"));
}

TEST_F(GraftedTest, FilesMoveWithinAGraftAndNeverOutOfIt) {
  const Inode wal = InodeOf("wal");
  const Inode base = InodeOf("base");
  EXPECT_TRUE(fs_.Rename(wal, "file", wal, "recycled", RenameMode::kReplace).has_value());
  EXPECT_EQ(ReadAt(wal_, "recycled"), "graft");
  EXPECT_EQ(ErrorOf(fs_.Rename(wal, "recycled", base, "file", RenameMode::kReplace)), EXDEV);
  const Inode file = fs_.Lookup(wal, "recycled")->inode;
  EXPECT_EQ(ErrorOf(fs_.Link(file, base, "link")), EXDEV);
  EXPECT_EQ(ErrorOf(fs_.CopyRange(file, 0, fs_.Lookup(base, "file")->inode, 0, 5)), EXDEV);
}

TEST_F(GraftedTest, TheNamesOfGraftsStayWhatTheyAre) {
  EXPECT_EQ(ErrorOf(fs_.RemoveDirectory(kRootInode, "wal")), EBUSY);
  EXPECT_EQ(ErrorOf(fs_.Rename(kRootInode, "wal", kRootInode, "old", RenameMode::kReplace)), EBUSY);
  EXPECT_EQ(ErrorOf(fs_.Rename(kRootInode, "base", kRootInode, "hidden", RenameMode::kReplace)), EBUSY);
  EXPECT_EQ(ErrorOf(fs_.MakeDirectory(kRootInode, "hidden", 0700, kOwner)), EEXIST);
  EXPECT_EQ(ErrorOf(fs_.CreateFile(kRootInode, "hidden", 0600, kOwner)), EEXIST);
}

TEST_F(GraftedTest, NoTwoFilesHaveOneInode) {
  const Attributes in_main = *fs_.Lookup(InodeOf("base"), "file");
  const Attributes in_graft = *fs_.Lookup(InodeOf("wal"), "file");
  EXPECT_NE(in_main.inode, in_graft.inode);
  EXPECT_NE(in_main.shown_inode, in_graft.shown_inode);
  EXPECT_EQ(fs_.ParentOf(InodeOf("wal")), kRootInode);
}

class TextDirectoryTest : public ::testing::Test {
 protected:
  std::optional<std::string> text_ = "one";
  TextDirectory fs_{{{.name = "stat", .text = [this] { return text_; }}}, kOwner};
};

TEST_F(TextDirectoryTest, AFileIsWhatItWasWhenItWasLookedUp) {
  const Attributes before = *fs_.Lookup(kRootInode, "stat");
  text_ = "two and more";
  const Attributes after = *fs_.Lookup(kRootInode, "stat");
  EXPECT_NE(before.inode, after.inode);
  EXPECT_TRUE(before.passing);
  EXPECT_EQ(before.size, 3);
  EXPECT_EQ(after.size, 12);
  std::string bytes(20, '?');
  EXPECT_EQ(*fs_.Read(before.inode, 0, std::as_writable_bytes(std::span(bytes))), 3);
  EXPECT_EQ(bytes.substr(0, 3), "one");
  EXPECT_EQ(*fs_.Read(after.inode, 4, std::as_writable_bytes(std::span(bytes))), 8);
  EXPECT_EQ(bytes.substr(0, 8), "and more");
  fs_.Forget(before.inode, 1);
  EXPECT_EQ(ErrorOf(fs_.GetAttributes(before.inode)), ESTALE);
  EXPECT_EQ(ErrorOf(fs_.GetAttributes(after.inode)), 0);
}

TEST_F(TextDirectoryTest, NothingInItCanBeChanged) {
  EXPECT_EQ(ErrorOf(fs_.Unlink(kRootInode, "stat")), EPERM);
  EXPECT_EQ(ErrorOf(fs_.CreateFile(kRootInode, "new", 0600, kOwner)), EPERM);
  EXPECT_EQ(ErrorOf(fs_.SetAttributes(fs_.Lookup(kRootInode, "stat")->inode, {.size = 0})), EPERM);
  EXPECT_THAT(*ListAt(fs_, ""), ElementsAre("stat"));
  text_.reset();
  EXPECT_EQ(ErrorOf(fs_.Lookup(kRootInode, "stat")), ENOENT);
}

}  // namespace
}  // namespace pgstrata::vfs
