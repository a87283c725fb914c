#include "backup/image/directory_image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <string>

#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "tests/support/scratch_directory.h"

namespace pgstrata::image {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class DirectoryImageTest : public ::testing::Test {
 protected:
  void SetUp() override { MakeDirectory("data"); }

  [[nodiscard]] std::string Native(const std::string& path) const { return temporary_.path() + '/' + path; }
  void MakeDirectory(const std::string& path) { ASSERT_TRUE(io::MakeDirectories(Native(path)).has_value()); }
  void Write(const std::string& path, const std::string& content) {
    ASSERT_TRUE(io::WriteWholeFile(Native(path), content).has_value());
  }
  void Link(const std::string& target, const std::string& path) {
    ASSERT_EQ(::symlink(target.c_str(), Native(path).c_str()), 0);
  }
  std::unique_ptr<DirectoryImage> OpenImage() {
    auto image = OpenDirectory(Native("data"));
    EXPECT_TRUE(image.has_value());
    return *std::move(image);
  }
  static std::vector<std::string> Names(const Image& image, std::string_view directory) {
    const auto entries = image.List(directory);
    if (!entries) {
      ADD_FAILURE() << entries.error().message();
      return {};
    }
    std::vector<std::string> names;
    for (const auto& entry : *entries) names.push_back(entry.name);
    return names;
  }
  static std::string Read(const Image& image, std::string_view path) {
    auto content = ReadSmallFile(image, path);
    return content ? *std::move(content) : "error: " + content.error().message();
  }

 private:
  test::ScratchDirectory temporary_;
};

TEST_F(DirectoryImageTest, RelativeLinkInsideIsShown) {
  MakeDirectory("data/conf");
  Write("data/conf/a.conf", "a");
  Link("conf/a.conf", "data/a.conf");
  Link("../conf/a.conf", "data/conf/b.conf");
  const auto image = OpenImage();
  const auto entry = image->Stat("a.conf");
  ASSERT_TRUE(entry.has_value());
  EXPECT_EQ(entry->kind, EntryKind::kLink);
  EXPECT_EQ(entry->link_target, "conf/a.conf");
  EXPECT_EQ(image->Stat("conf/b.conf")->kind, EntryKind::kLink);
}

TEST_F(DirectoryImageTest, Trap32LinksThatLeaveAreGraftedNeverShown) {
  MakeDirectory("wal/archive_status");
  MakeDirectory("data/base");
  Write("wal/000000010000000000000001", "segment");
  Write("outside.conf", "x");
  Write("data/base/1", "one");
  Link(Native("wal"), "data/pg_wal");
  Link("../outside.conf", "data/relative.conf");
  Link(Native("data/base/1"), "data/absolute_inside");
  Link("base/../../outside.conf", "data/leaves_on_the_way");
  const auto image = OpenImage();
  EXPECT_THAT(Names(*image, ""),
              ElementsAre("absolute_inside", "base", "leaves_on_the_way", "pg_wal", "relative.conf"));
  EXPECT_EQ(image->Stat("pg_wal")->kind, EntryKind::kDirectory);
  EXPECT_EQ(image->Stat("pg_wal")->grafted_from, Native("wal"));
  EXPECT_THAT(Names(*image, "pg_wal"), ElementsAre("000000010000000000000001", "archive_status"));
  EXPECT_EQ(Read(*image, "pg_wal/000000010000000000000001"), "segment");
  EXPECT_EQ(Read(*image, "relative.conf"), "x");
  EXPECT_EQ(Read(*image, "absolute_inside"), "one");
  EXPECT_EQ(Read(*image, "leaves_on_the_way"), "x");
}

TEST_F(DirectoryImageTest, ChangedFileIsCorruptNotOtherBytes) {
  Write("data/f", "before");
  const auto image = OpenImage();
  const auto file = image->Open("f");
  ASSERT_TRUE(file.has_value());
  Write("data/f", "after and longer");
  std::string bytes(6, '\0');
  const auto status = (*file)->ReadAt(0, std::as_writable_bytes(std::span(bytes)));
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code(), ErrorCode::kCorrupt);
  EXPECT_THAT(status.error().message(), HasSubstr("while it was open"));
  const auto again = image->Open("f");
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code(), ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace pgstrata::image
