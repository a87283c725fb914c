#include "backup/image/tar_image.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "tests/support/compress.h"
#include "tests/support/scratch_directory.h"
#include "tests/support/tar_writer.h"

namespace pgstrata::image {
namespace {

using test::TarWriter;
using ::testing::HasSubstr;

class TarImageTest : public ::testing::Test {
 protected:
  void Write(const std::string& name, std::string_view content) {
    ASSERT_TRUE(io::WriteWholeFile(Path(name), content).has_value());
  }
  [[nodiscard]] std::string Path(const std::string& name) const { return place_.path() + '/' + name; }
  [[nodiscard]] std::unique_ptr<TarImage> Opened() const {
    auto image = OpenTar(place_.path());
    EXPECT_TRUE(image.has_value()) << image.error().message();
    return image ? *std::move(image) : nullptr;
  }
  // Why base.tar with this content is refused.
  Error Refusal(std::string_view base) {
    Write("base.tar", base);
    auto image = OpenTar(place_.path());
    EXPECT_FALSE(image.has_value());
    return image ? Error(ErrorCode::kInternal, "") : image.error();
  }

  test::ScratchDirectory place_;
};

std::string ContentOf(const Image& image, std::string_view path) {
  const auto file = image.Open(path);
  if (!file) return "error: " + file.error().message();
  std::string bytes((*file)->size(), '?');
  const auto read = (*file)->ReadAt(0, std::as_writable_bytes(std::span(bytes)));
  return read ? bytes : "error: " + read.error().message();
}

std::vector<std::string> NamesIn(const Image& image, std::string_view directory) {
  std::vector<std::string> names;
  const auto entries = image.List(directory);
  if (!entries) return {"error: " + entries.error().message()};
  for (const auto& entry : *entries) names.push_back(entry.name);
  return names;
}

TEST_F(TarImageTest, ArchivesOfABackupAreOneTree) {
  Write("base.tar", TarWriter()
                        .File("backup_label", "label")
                        .File("tablespace_map", "16384 /srv/space\n")
                        .Directory("pg_wal")
                        .Directory("pg_wal/archive_status", 0750)
                        .Directory("pg_tblspc")
                        .File("PG_VERSION", "17\n", 0640)
                        .Finish());
  Write("16384.tar", TarWriter().Directory("PG_17_1").Directory("PG_17_1/5").File("PG_17_1/5/16385", "row").Finish());
  Write("pg_wal.tar", TarWriter()
                          .File("000000010000000000000001", "wal")
                          .File("archive_status/000000010000000000000001.done", "")
                          .Finish());
  Write("backup_manifest", "{}");
  Write("notes.txt", "not a part");
  const auto image = Opened();
  EXPECT_EQ(NamesIn(*image, ""), (std::vector<std::string>{"PG_VERSION", "backup_label", "backup_manifest", "pg_tblspc",
                                                           "pg_wal", "tablespace_map"}));
  EXPECT_EQ(ContentOf(*image, "pg_tblspc/16384/PG_17_1/5/16385"), "row");
  EXPECT_EQ(ContentOf(*image, "pg_wal/000000010000000000000001"), "wal");
  EXPECT_EQ(ContentOf(*image, "backup_manifest"), "{}");
  EXPECT_EQ(image->Stat("PG_VERSION")->mode, 0640U);
  EXPECT_EQ(image->Stat("pg_wal/archive_status")->mode, 0750U);
  EXPECT_EQ(image->Stat("pg_tblspc/16384")->uid, 101U);
  EXPECT_EQ(image->Stat("")->uid, 101U);
  EXPECT_EQ(image->Stat("")->mode, 0700U);
  EXPECT_TRUE(image->MissingTablespaces()->empty());
}

TEST_F(TarImageTest, TablespaceWithoutItsArchiveIsMissing) {
  Write("base.tar", TarWriter()
                        .File("tablespace_map", "16384 /srv/space\n16385 /srv/other\n")
                        .Directory("pg_tblspc")
                        .Link("pg_tblspc/16386", "/srv/third")
                        .Finish());
  Write("16385.tar", TarWriter().Directory("PG_17_1").Finish());
  const auto image = Opened();
  EXPECT_EQ(NamesIn(*image, "pg_tblspc"), (std::vector<std::string>{"16385"}));
  const auto missing = image->MissingTablespaces();
  ASSERT_EQ(missing->size(), 2U);
  EXPECT_EQ((*missing)[0].oid, "16386");
  EXPECT_EQ((*missing)[1].location, "/srv/space");
}

TEST_F(TarImageTest, LastOfTwoMembersCounts) {
  Write("base.tar", TarWriter().File("a", "old").File("b", "b").File("./a", "newer").Finish());
  EXPECT_EQ(ContentOf(*Opened(), "a"), "newer");
}

TEST_F(TarImageTest, LongNamesOfGnuAndPaxAreRead) {
  const std::string long_name = "base/" + std::string(200, 'n');
  const std::string records = TarWriter::Record("path", "pax/name") + TarWriter::Record("size", "3");
  Write("base.tar", TarWriter()
                        .Add({.path = "././@LongLink", .type = 'L'}, long_name + '\0')
                        .File("base/cut", "gnu")
                        .Add({.path = "PaxHeaders/x", .type = 'x'}, records)
                        .Add({.path = "cut", .size = 0})
                        .AddData("pax")
                        .File("plain", "plain")
                        .Finish());
  const auto image = Opened();
  EXPECT_EQ(ContentOf(*image, long_name), "gnu");
  EXPECT_EQ(ContentOf(*image, "pax/name"), "pax");
  EXPECT_EQ(ContentOf(*image, "plain"), "plain");
}

TEST_F(TarImageTest, HardLinkIsTheFileItNames) {
  Write("base.tar", TarWriter().File("a", "content").Add({.path = "b", .type = '1', .link_target = "./a"}).Finish());
  EXPECT_EQ(ContentOf(*Opened(), "b"), "content");
  EXPECT_THAT(Refusal(TarWriter().Add({.path = "b", .type = '1', .link_target = "missing"}).Finish()).message(),
              HasSubstr("\"missing\", which is not there"));
}

TEST_F(TarImageTest, LinksThatLeaveAreLeftOut) {
  Write("base.tar", TarWriter()
                        .Directory("in")
                        .Link("in/up", "../file")
                        .Link("in/out", "../../file")
                        .Link("absolute", "/etc")
                        .Link("to_link", "in/up/../../x")
                        .Add({.path = "device", .type = '3'})
                        .File("file", "x")
                        .Finish());
  const auto image = Opened();
  EXPECT_EQ(NamesIn(*image, ""), (std::vector<std::string>{"file", "in"}));
  EXPECT_EQ(NamesIn(*image, "in"), (std::vector<std::string>{"up"}));
}

TEST_F(TarImageTest, ArchiveThatWasCutShortIsRefusedAtOnce) {
  const std::string whole = TarWriter().File("a", std::string(5000, 'a')).File("b", "b").Finish();
  for (const size_t size : {0UL, 511UL, 512UL, 4000UL, 512UL + 5120, 512UL + 5120 + 700, whole.size() - 1024}) {
    const auto error = Refusal(whole.substr(0, size));
    EXPECT_EQ(error.code(), ErrorCode::kCorrupt) << size;
    EXPECT_THAT(error.message(), HasSubstr("cut short")) << size;
    EXPECT_THAT(error.message(), HasSubstr("base.tar")) << size;
  }
}

TEST_F(TarImageTest, DamagedHeaderIsNamedByItsPlace) {
  std::string archive = TarWriter().File("a", "a").File("b", "b").Finish();
  archive[1024 + 130] ^= 1;
  EXPECT_THAT(Refusal(archive).message(), HasSubstr("at byte 1024: the checksum of a header does not match"));
}

TEST_F(TarImageTest, PathsThatLeaveAreRefused) {
  for (const char* path : {"/etc/passwd", "../x", "base/../../x"}) {
    EXPECT_EQ(Refusal(TarWriter().File(path, "x").Finish()).code(), ErrorCode::kUnsupported) << path;
  }
}

TEST_F(TarImageTest, PathThatIsFileAndDirectoryIsRefused) {
  EXPECT_EQ(Refusal(TarWriter().File("a", "x").File("a/b", "x").Finish()).code(), ErrorCode::kCorrupt);
}

TEST_F(TarImageTest, CompressedPartsAreDecodedOnce) {
  const std::string base = TarWriter().File("PG_VERSION", "17\n").File("base/5/1", std::string(300'000, 'x')).Finish();
  Write("base.tar.gz", test::Compressed("gzip", base));
  Write("16384.tar.zst", test::Compressed("zstd", TarWriter().File("PG_17_1/5/2", "in a tablespace").Finish()));
  Write("pg_wal.tar", TarWriter().File("000000010000000000000003", "WAL").Finish());
  const test::ScratchDirectory cached;
  for (int i = 0; i < 2; ++i) {
    const auto image = OpenTar(place_.path(), std::make_shared<DecodedCache>(cached.path() + "/decoded"));
    ASSERT_TRUE(image.has_value()) << image.error().message();
    EXPECT_EQ(ContentOf(**image, "base/5/1"), std::string(300'000, 'x'));
    EXPECT_EQ(ContentOf(**image, "pg_tblspc/16384/PG_17_1/5/2"), "in a tablespace");
    EXPECT_EQ(ContentOf(**image, "pg_wal/000000010000000000000003"), "WAL");
    EXPECT_EQ(io::ListDirectory(cached.path() + "/decoded")->size(), 2U);
    const FirstTouch cost = (*image)->CostOfFirstTouch();
    EXPECT_EQ(cost.files, 2U);
    EXPECT_EQ(cost.files_in_cache, 2U);
    EXPECT_EQ(cost.largest, "base.tar.gz");
    EXPECT_GT(cost.bytes, 300'000U);
    EXPECT_LT(cost.stored_bytes, 10'000U);
  }
}

TEST_F(TarImageTest, DamagedCompressedPartIsCorruptAndNamed) {
  const std::string packed = test::Compressed("gzip", TarWriter().File("PG_VERSION", "17\n").Finish());
  Write("base.tar.gz", packed.substr(0, packed.size() - 9));
  const test::ScratchDirectory cached;
  const auto image = OpenTar(place_.path(), std::make_shared<DecodedCache>(cached.path()));
  ASSERT_FALSE(image.has_value());
  EXPECT_EQ(image.error().code(), ErrorCode::kCorrupt);
  EXPECT_THAT(image.error().message(), HasSubstr("base.tar.gz"));
}

TEST_F(TarImageTest, WithoutACacheCompressedPartsAreRefusedByName) {
  Write("base.tar", TarWriter().File("PG_VERSION", "17\n").Finish());
  Write("16384.tar.zst", "\x28\xB5\x2F\xFD");
  auto image = OpenTar(place_.path());
  ASSERT_FALSE(image.has_value());
  EXPECT_EQ(image.error().code(), ErrorCode::kUnsupported);
  EXPECT_THAT(image.error().message(), HasSubstr("16384.tar.zst\" is compressed"));
  Write("16384.tar", TarWriter().Directory("PG_17_1").Finish());  // decompressed beside itself
  EXPECT_TRUE(OpenTar(place_.path()).has_value());
  EXPECT_EQ(Refusal("\x1F\x8B\x08\x00").code(), ErrorCode::kUnsupported);  // compressed without saying so
}

TEST_F(TarImageTest, ChangedArchiveIsCorruptAtTheNextRead) {
  Write("base.tar", TarWriter().File("a", "content").Finish());
  const auto image = Opened();
  const auto file = image->Open("a");
  Write("base.tar", TarWriter().File("a", "CONTENT").File("b", "").Finish());
  EXPECT_THAT(ContentOf(*image, "a"), HasSubstr("changed from"));
  std::string bytes(7, '?');
  const auto read = (*file)->ReadAt(0, std::as_writable_bytes(std::span(bytes)));
  ASSERT_FALSE(read.has_value());
  EXPECT_EQ(read.error().code(), ErrorCode::kCorrupt);
  EXPECT_THAT(read.error().message(), HasSubstr("\"a\""));
}

TEST_F(TarImageTest, SingleTarOfADataDirectory) {
  Write("monday.tar", TarWriter().Directory(".", 0750).File("./PG_VERSION", "17\n").Finish());
  const auto image = OpenTar(Path("monday.tar"));
  ASSERT_TRUE(image.has_value()) << image.error().message();
  EXPECT_EQ(ContentOf(**image, "PG_VERSION"), "17\n");
  EXPECT_EQ((*image)->Stat("")->mode, 0750U);
  EXPECT_EQ(OpenTar(place_.path()).error().code(), ErrorCode::kInvalidArgument);
}

TEST_F(TarImageTest, PartsMayBeLinks) {
  Write("elsewhere", TarWriter().File("PG_VERSION", "17\n").Finish());
  ASSERT_EQ(::symlink(Path("elsewhere").c_str(), Path("base.tar").c_str()), 0);
  EXPECT_EQ(ContentOf(*Opened(), "PG_VERSION"), "17\n");
}

size_t OpenDescriptors() {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

TEST_F(TarImageTest, DescriptorsAreBounded) {
  Write("base.tar", TarWriter().File("PG_VERSION", "17\n").Finish());
  constexpr int kTablespaces = 60;
  for (int i = 0; i < kTablespaces; ++i) {
    Write(std::to_string(16'384 + i) + ".tar", TarWriter().File("PG_17_1/5/1", std::to_string(i)).Finish());
  }
  const size_t before = OpenDescriptors();
  const auto image = Opened();
  std::vector<std::unique_ptr<ImageFile>> held;
  for (int i = 0; i < kTablespaces; ++i) {
    const std::string path = "pg_tblspc/" + std::to_string(16'384 + i) + "/PG_17_1/5/1";
    EXPECT_EQ(ContentOf(*image, path), std::to_string(i));
    held.push_back(*image->Open(path));
  }
  EXPECT_LE(OpenDescriptors(), before + 20);
}

}  // namespace
}  // namespace pgstrata::image
