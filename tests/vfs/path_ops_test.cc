#include "volume/vfs/path_ops.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/memory_file_system.h"
#include "tests/vfs/conformance/suite.h"
#include "volume/vfs/errno_map.h"

namespace pgstrata::vfs {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class PathOpsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* path : {"base", "base/1", "base/5", "pg_wal"}) {
      ASSERT_TRUE(MakeDirectoryAt(fs_, path, 0700, kOwner).has_value()) << path;
    }
    ASSERT_TRUE(WriteFileAt(fs_, "base/5/1259", AsBytes("pg_class"), 0600, kOwner).has_value());
  }
  void Link(Inode parent, std::string_view name, std::string_view target) {
    ASSERT_TRUE(fs_.MakeLink(parent, name, target, kOwner).has_value());
  }

  test::MemoryFileSystem fs_{kOwner};
};

TEST_F(PathOpsTest, FileIsWrittenReadReplacedAndRemoved) {
  EXPECT_EQ(ReadFileAt(fs_, "base/5/1259").value(), "pg_class");
  ASSERT_TRUE(WriteFileAt(fs_, "base/5/1259", AsBytes("new"), 0640, {7, 8}).has_value());
  EXPECT_EQ(ReadFileAt(fs_, "base/5/1259").value(), "new");
  const auto directory = fs_.Lookup(fs_.Lookup(kRootInode, "base")->inode, "5");
  const auto file = fs_.Lookup(directory->inode, "1259");
  EXPECT_EQ(file->mode, S_IFREG | 0640U);
  EXPECT_EQ(file->uid, 7U);
  EXPECT_EQ(file->gid, 8U);
  ASSERT_TRUE(RemoveAt(fs_, "base/5/1259").has_value());
  EXPECT_FALSE(ExistsAt(fs_, "base/5/1259"));
  EXPECT_TRUE(ExistsAt(fs_, "base/5"));
}

TEST_F(PathOpsTest, LargeFileIsWrittenAndReadInPieces) {
  std::string content(5'000'000, '\0');
  for (size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i % 251);
  ASSERT_TRUE(WriteFileAt(fs_, "large", AsBytes(content), 0600, kOwner).has_value());
  EXPECT_EQ(ReadFileAt(fs_, "large").value(), content);
  const auto limited = ReadFileAt(fs_, "large", 4'999'999);
  ASSERT_FALSE(limited.has_value());
  EXPECT_EQ(limited.error().code(), ErrorCode::kUnsupported);
}

TEST_F(PathOpsTest, TreeIsRemovedWithEverythingBelowButNotThroughLinks) {
  Link(fs_.Lookup(kRootInode, "base")->inode, "wal", "../pg_wal");
  ASSERT_TRUE(WriteFileAt(fs_, "pg_wal/segment", AsBytes("x"), 0600, kOwner).has_value());
  ASSERT_TRUE(RemoveAt(fs_, "base").has_value());
  EXPECT_THAT(ListAt(fs_, "").value(), ElementsAre("pg_wal"));
  EXPECT_THAT(ListAt(fs_, "pg_wal").value(), ElementsAre("segment"));
}

TEST_F(PathOpsTest, RemovingWhatIsNotThereSucceeds) {
  EXPECT_TRUE(RemoveAt(fs_, "missing").has_value());
  EXPECT_TRUE(RemoveAt(fs_, "missing/below").has_value());
  EXPECT_FALSE(RemoveAt(fs_, "").has_value());
}

TEST_F(PathOpsTest, ReferencesAreGivenBack) {
  ASSERT_TRUE(RemoveAt(fs_, "base").has_value());
  ASSERT_TRUE(RemoveAt(fs_, "pg_wal").has_value());
  EXPECT_EQ(fs_.InodeCount(), 1U);
}

TEST_F(PathOpsTest, LinksAreFollowed) {
  Link(kRootInode, "conf", "base/../base/5");
  Link(fs_.Lookup(kRootInode, "base")->inode, "relation", "5/1259");
  EXPECT_EQ(ReadFileAt(fs_, "conf/1259").value(), "pg_class");
  EXPECT_EQ(ReadFileAt(fs_, "base/relation").value(), "pg_class");
  ASSERT_TRUE(WriteFileAt(fs_, "base/relation", AsBytes("through"), 0600, kOwner).has_value());
  EXPECT_EQ(ReadFileAt(fs_, "base/5/1259").value(), "through");
  Link(kRootInode, "new", "base/5/created");
  ASSERT_TRUE(WriteFileAt(fs_, "new", AsBytes("x"), 0600, kOwner).has_value());
  EXPECT_TRUE(ExistsAt(fs_, "base/5/created"));
}

TEST_F(PathOpsTest, LinksThatLeaveOrGoRoundAreRefused) {
  Link(kRootInode, "absolute", "/etc/passwd");
  Link(kRootInode, "above", "../outside");
  Link(kRootInode, "round", "round");
  for (const char* path : {"absolute", "above", "round"}) {
    const auto content = ReadFileAt(fs_, path);
    ASSERT_FALSE(content.has_value()) << path;
    EXPECT_EQ(content.error().code(), ErrorCode::kInvalidArgument);
    EXPECT_FALSE(WriteFileAt(fs_, path, {}, 0600, kOwner).has_value()) << path;
  }
}

TEST_F(PathOpsTest, MadeDirectoryMayBeThereAlready) {
  EXPECT_TRUE(MakeDirectoryAt(fs_, "base", 0700, kOwner).has_value());
  EXPECT_TRUE(MakeDirectoryAt(fs_, "", 0700, kOwner).has_value());
  const auto over_file = MakeDirectoryAt(fs_, "base/5/1259", 0700, kOwner);
  ASSERT_FALSE(over_file.has_value());
  EXPECT_EQ(over_file.error().code(), ErrorCode::kAlreadyExists);
  EXPECT_EQ(MakeDirectoryAt(fs_, "missing/below", 0700, kOwner).error().code(), ErrorCode::kNotFound);
}

TEST_F(PathOpsTest, ErrorsNameThePathAndTheReason) {
  const auto missing = ReadFileAt(fs_, "base/5/9999");
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(missing.error().message(), "could not look up \"base/5/9999\": no such file or directory");
  EXPECT_THAT(ReadFileAt(fs_, "base").error().message(), HasSubstr("\"base\" is not a regular file"));
  EXPECT_THAT(ListAt(fs_, "base/5/1259").error().message(), HasSubstr("is not a directory"));
  fs_.controls().fail_with = EIO;
  const auto failed = ReadFileAt(fs_, "base/5/1259");
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().code(), ErrorCode::kIo);
  fs_.controls().fail_with = ENOSPC;
  EXPECT_EQ(WriteFileAt(fs_, "base/5/1259", AsBytes("x"), 0600, kOwner).error().code(), ErrorCode::kNoSpace);
}

TEST(ErrnoMapTest, TheKernelIsToldOfAFullDiskAndOtherwiseEio) {
  EXPECT_EQ(ToErrno(Error::FromErrno(ENOSPC, "x")).value, ENOSPC);
  EXPECT_EQ(ToErrno(Error::FromErrno(EDQUOT, "x")).value, ENOSPC);
  EXPECT_EQ(ToErrno(Error::FromErrno(ENOENT, "a blob")).value, EIO);
  EXPECT_EQ(ToErrno(Error(ErrorCode::kCorrupt, "x")).value, EIO);
  EXPECT_EQ(ToErrno(Error(ErrorCode::kNotFound, "x")).value, ENOENT);
  EXPECT_EQ(ToErrno(Error(ErrorCode::kNoSpace, "x")).value, ENOSPC);
}

}  // namespace
}  // namespace pgstrata::vfs
