#include "backup/image/overlay_image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "backup/image/buffer_file.h"
#include "tests/support/memory_image.h"

namespace pgstrata::image {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

ImageWithFiles::Opener Content(std::string content, int* opened = nullptr) {
  return [content = std::move(content), opened]() -> Result<std::unique_ptr<ImageFile>> {
    if (opened != nullptr) ++*opened;
    const auto bytes = AsBytes(content);
    return MakeBufferFile({bytes.begin(), bytes.end()});
  };
}

std::vector<std::string> Names(const Image& image, std::string_view directory) {
  std::vector<std::string> names;
  const auto entries = image.List(directory);
  EXPECT_TRUE(entries.has_value());
  for (const auto& entry : entries.value_or(std::vector<Entry>{})) names.push_back(entry.name);
  return names;
}

TEST(ImageWithFilesTest, AddedFileWinsOverTheBase) {
  auto base = std::make_shared<test::MemoryImage>();
  base->AddFile("pg_wal/1", "base");
  base->AddFile("pg_wal/3", "three");
  ImageWithFiles image(base);
  ASSERT_TRUE(image.Add("pg_wal/1", Content("added")));
  ASSERT_TRUE(image.Add("pg_wal/2", Content("two")));
  EXPECT_THAT(Names(image, "pg_wal"), ElementsAre("1", "2", "3"));
  EXPECT_EQ(ReadSmallFile(image, "pg_wal/1").value(), "added");
  EXPECT_EQ(image.Stat("pg_wal/1").value().size, 5U);
  EXPECT_EQ(image.Stat("pg_wal/2").value().mode, 0600U);
  EXPECT_EQ(ReadSmallFile(image, "pg_wal/3").value(), "three");
}

TEST(ImageWithFilesTest, AnnouncedSizeSparesTheOpeningAndIsHeld) {
  int opened = 0;
  ImageWithFiles image(std::make_shared<test::MemoryImage>());
  ASSERT_TRUE(image.Add("f", Content("content", &opened), 7));
  ASSERT_TRUE(image.Add("short", Content("cut"), 7));
  EXPECT_EQ(image.List("").value().at(0).size, 7U);
  EXPECT_EQ(opened, 0);
  EXPECT_EQ(ReadSmallFile(image, "f").value(), "content");
  const auto broken = image.Open("short");
  ASSERT_FALSE(broken.has_value());
  EXPECT_EQ(broken.error().code(), ErrorCode::kCorrupt);
  EXPECT_THAT(broken.error().message(), HasSubstr("3 bytes long, not 7"));
}

TEST(ImageWithFilesTest, WithoutSizeItIsOpenedOnceToBeDescribed) {
  int opened = 0;
  ImageWithFiles image(std::make_shared<test::MemoryImage>());
  ASSERT_TRUE(image.Add("f", Content("content", &opened)));
  EXPECT_EQ(image.Stat("f").value().size, 7U);
  EXPECT_EQ(image.Stat("f").value().size, 7U);
  EXPECT_EQ(image.List("").value().at(0).size, 7U);
  EXPECT_EQ(opened, 1);
}

TEST(ImageWithFilesTest, DirectoriesOnTheWayAreMade) {
  auto base = std::make_shared<test::MemoryImage>();
  base->AddFile("PG_VERSION", "15\n");
  ImageWithFiles image(base);
  ASSERT_TRUE(image.Add("pg_wal/summaries/1", Content("x")));
  EXPECT_THAT(Names(image, ""), ElementsAre("PG_VERSION", "pg_wal"));
  EXPECT_EQ(image.Stat("pg_wal").value().kind, EntryKind::kDirectory);
  EXPECT_EQ(image.Stat("pg_wal").value().mode, 0700U);
  EXPECT_THAT(Names(image, "pg_wal/summaries"), ElementsAre("1"));
  EXPECT_FALSE(image.Stat("pg_wal/other").has_value());
}

TEST(ImageWithFilesTest, WalGoesWhereTheLinkLeads) {
  auto base = std::make_shared<test::MemoryImage>();
  base->AddFile("wal/1", "one");
  base->AddLink("pg_wal", "wal");
  ImageWithFiles image(base);
  ASSERT_TRUE(image.Add("pg_wal/2", Content("two")));
  EXPECT_EQ(image.Stat("pg_wal").value().kind, EntryKind::kLink);
  EXPECT_THAT(Names(image, "wal"), ElementsAre("1", "2"));
  EXPECT_EQ(ReadSmallFile(image, "pg_wal/2").value(), "two");
}

TEST(ImageWithFilesTest, FileOverADirectoryHidesWhatIsBelow) {
  auto base = std::make_shared<test::MemoryImage>();
  base->AddFile("d/below", "hidden");
  ImageWithFiles image(base);
  ASSERT_TRUE(image.Add("d", Content("file")));
  EXPECT_EQ(image.Stat("d").value().kind, EntryKind::kFile);
  EXPECT_EQ(image.Stat("d/below").error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(image.Open("d/below").error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(image.List("d").error().code(), ErrorCode::kNotFound);
}

TEST(ImageWithFilesTest, FailureToOpenIsPassedOn) {
  ImageWithFiles image(std::make_shared<test::MemoryImage>());
  ASSERT_TRUE(
      image.Add("f", []() -> Result<std::unique_ptr<ImageFile>> { return Fail(ErrorCode::kCorrupt, "damaged"); }));
  EXPECT_EQ(image.Stat("f").error().code(), ErrorCode::kCorrupt);
  EXPECT_EQ(image.Open("f").error().code(), ErrorCode::kCorrupt);
}

TEST(ImageWithFilesTest, LinksThatLeadAstrayAreAnErrorAndNothingIsLaidBesideThem) {
  auto base = std::make_shared<test::MemoryImage>();
  base->AddLink("pg_wal", "pg_wal");
  base->AddLink("up", "../elsewhere");
  ImageWithFiles image(base);
  for (const auto* path : {"pg_wal/1", "up/1"}) {
    const auto added = image.Add(path, Content("one"));
    ASSERT_FALSE(added.has_value()) << path;
    EXPECT_EQ(added.error().code(), ErrorCode::kInvalidArgument);
    EXPECT_FALSE(image.Open(path).has_value());
  }
  EXPECT_THAT(Names(image, ""), ElementsAre("pg_wal", "up"));
}

TEST(ImageWithFilesTest, MissingTablespacesAreThoseOfTheBase) {
  auto base = std::make_shared<test::MemoryImage>();
  base->AddMissingTablespace("16400", "/gone");
  EXPECT_EQ(ImageWithFiles(base).MissingTablespaces().value().size(), 1U);
}

}  // namespace
}  // namespace pgstrata::image
