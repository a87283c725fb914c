// What damage does, and that it does no more.
#include <filesystem>

#include "catalog/probackup/verify.h"
#include "foundation/io/directory.h"
#include "postgres/pgdata/crc32c.h"
#include "tests/probackup/chain_fixture.h"

namespace pgstrata::probackup {
namespace {

using test::BuiltBackup;
using test::BuiltFile;
using ::testing::AllOf;
using ::testing::HasSubstr;

// Two backups of a relation, whose second has block 1.
class DamageTest : public ChainTest {
 protected:
  void Make(PageCompression compression, bool data_checksums = true) {
    full_.data_checksums = data_checksums;
    full_.files = {Relation(kPath, 3, {0, 1, 2}, 1, compression),
                   Relation("base/5/2", 1, {0}, 1),
                   {.path = "postgresql.conf", .content = "port = 5432"}};
    delta_.parent = full_.Id();
    delta_.data_checksums = data_checksums;
    delta_.files = {Relation(kPath, 3, {1}, 2, compression),
                    Unchanged(Relation("base/5/2", 1, {}, 1)),
                    {.path = "postgresql.conf", .unchanged = true, .full_size = 11}};
    full_directory_ = catalog().Add(full_);
    delta_directory_ = catalog().Add(delta_);
  }
  [[nodiscard]] std::string FullStream() const { return full_directory_ + "/database/" + kPath; }
  [[nodiscard]] std::string DeltaStream() const { return delta_directory_ + "/database/" + kPath; }

  BuiltBackup full_{.start_time = kTestTime};
  BuiltBackup delta_{.start_time = kTestTime + 1, .mode = "DELTA"};
  std::string full_directory_;
  std::string delta_directory_;
};

TEST_F(DamageTest, FlippedByteFailsThatBlockAlone) {
  for (const auto compression : {PageCompression::kNone, PageCompression::kZlib, PageCompression::kPglz}) {
    for (const bool data_checksums : {true, false}) {
      SCOPED_TRACE(static_cast<int>(compression));
      Make(compression, data_checksums);
      Flip(FullStream(), -300);  // in the last record, that of block 2
      const auto image = Open(delta_directory_)->MakeImage();
      EXPECT_TRUE(ReadBlock(*image, kPath, 0) == Page(0, 1));
      EXPECT_TRUE(ReadBlock(*image, kPath, 1) == Page(1, 2));
      EXPECT_THAT(Failure(ReadBlock(*image, kPath, 2)),
                  AllOf(HasSubstr("error"), HasSubstr("block 2"), HasSubstr(kPath), HasSubstr("backup TOTK0V")));
      EXPECT_THAT(Failure(Read(*image, kPath)), HasSubstr("block 2"));
      EXPECT_TRUE(Read(*image, "base/5/2") == Page(0, 1));
    }
  }
}

TEST_F(DamageTest, PageThatBecameZerosIsNoticed) {
  for (const bool data_checksums : {true, false}) {
    Make(PageCompression::kNone, data_checksums);
    std::string stream = Content(FullStream());
    stream.replace(8, 8192, std::string(8192, '\0'));
    Write(FullStream(), stream);
    const auto image = Open(delta_directory_)->MakeImage();
    EXPECT_THAT(Failure(ReadBlock(*image, kPath, 0)), HasSubstr("its checksum is 0"));
    EXPECT_TRUE(ReadBlock(*image, kPath, 2) == Page(2, 1));
  }
}

TEST_F(DamageTest, LostFileFailsOnlyReadsThatNeedIt) {
  Make(PageCompression::kZlib);
  ASSERT_TRUE(io::RemoveFile(FullStream()).has_value());
  const auto image = Open(delta_directory_)->MakeImage();
  EXPECT_EQ(image->Stat(kPath)->size, 3U * 8192);
  EXPECT_TRUE(ReadBlock(*image, kPath, 1) == Page(1, 2));
  EXPECT_THAT(Failure(ReadBlock(*image, kPath, 0)),
              AllOf(HasSubstr("is missing"), HasSubstr("block 0"), HasSubstr("TOTK0V")));
  EXPECT_TRUE(Read(*image, "base/5/2") == Page(0, 1));
}

TEST_F(DamageTest, CutFileFailsItsEndAlone) {
  Make(PageCompression::kNone);
  const std::string stream = Content(FullStream());
  Write(FullStream(), stream.substr(0, stream.size() - 100));
  {
    const auto image = Open(delta_directory_)->MakeImage();
    EXPECT_TRUE(ReadBlock(*image, kPath, 0) == Page(0, 1));
    EXPECT_THAT(Failure(ReadBlock(*image, kPath, 2)), AllOf(HasSubstr("block 2"), HasSubstr("ended early")));
  }
  ASSERT_TRUE(io::RemoveFile(full_directory_ + "/page_header_map").has_value());
  const auto image = Open(delta_directory_)->MakeImage();
  EXPECT_THAT(Failure(ReadBlock(*image, kPath, 0)), HasSubstr("when it was backed up"));
  EXPECT_TRUE(ReadBlock(*image, kPath, 1) == Page(1, 2));
}

TEST_F(DamageTest, LostHeaderMapIsReplacedByTheStreams) {
  Make(PageCompression::kZlib);
  ASSERT_TRUE(io::RemoveFile(full_directory_ + "/page_header_map").has_value());
  Flip(delta_directory_ + "/page_header_map", 10);
  const auto image = Open(delta_directory_)->MakeImage();
  EXPECT_TRUE(Read(*image, kPath) == Page(0, 1) + Page(1, 2) + Page(2, 1));
}

TEST_F(DamageTest, LostHeaderMapAndLostFileFailOnlyWhatTheyMayHold) {
  Make(PageCompression::kZlib);
  ASSERT_TRUE(io::RemoveFile(full_directory_ + "/page_header_map").has_value());
  ASSERT_TRUE(io::RemoveFile(FullStream()).has_value());
  const auto image = Open(delta_directory_)->MakeImage();
  EXPECT_TRUE(ReadBlock(*image, kPath, 1) == Page(1, 2));
  EXPECT_THAT(Failure(ReadBlock(*image, kPath, 0)), HasSubstr("is missing"));
  EXPECT_THAT(Failure(ReadBlock(*image, kPath, 0)), HasSubstr("is missing")) << "again";
}

// The checksum that stands beside the page does not stand for the one in it.
TEST_F(DamageTest, FlippedChecksumInAPageIsNoticedWhereTheClusterHasChecksums) {
  Make(PageCompression::kNone);
  Flip(FullStream(), 8 + 8);  // pd_checksum of block 0, behind the record's header
  const auto image = Open(delta_directory_)->MakeImage();
  EXPECT_THAT(Failure(ReadBlock(*image, kPath, 0)), AllOf(HasSubstr("block 0"), HasSubstr("checksum")));
  EXPECT_TRUE(ReadBlock(*image, kPath, 2) == Page(2, 1));
}

TEST_F(DamageTest, VerificationListsEachDamagedPlaceOnce) {
  Make(PageCompression::kNone);
  Flip(FullStream(), -300);
  Flip(full_directory_ + "/database/postgresql.conf", 3);
  ASSERT_TRUE(io::RemoveFile(delta_directory_ + "/page_header_map").has_value());
  std::vector<std::string> found;
  const auto verified = VerifyChain(delta_directory_, false, {.threads = 2}, [&](const image::Damage& damage) {
    found.push_back(damage.backup + ' ' + damage.path + ' ' + (damage.block ? std::to_string(*damage.block) : "-"));
  });
  ASSERT_TRUE(verified.has_value());
  EXPECT_EQ(verified->damages, 3U);
  EXPECT_THAT(found, ::testing::UnorderedElementsAre("TOTK0V " + std::string(kPath) + " 2", "TOTK0V postgresql.conf -",
                                                     delta_.Id() + "  -"));
}

// Nothing but the file's own checksum says that one of its pages is not what it was.
TEST_F(DamageTest, WithoutMapAndChecksumsADamagedStreamIsNotTrusted) {
  Make(PageCompression::kNone, false);
  ASSERT_TRUE(io::RemoveFile(full_directory_ + "/page_header_map").has_value());
  {
    const auto image = Open(delta_directory_)->MakeImage();
    EXPECT_TRUE(Read(*image, kPath) == Page(0, 1) + Page(1, 2) + Page(2, 1));
  }
  Flip(FullStream(), -300);
  const auto image = Open(delta_directory_)->MakeImage();
  EXPECT_THAT(Failure(ReadBlock(*image, kPath, 0)), HasSubstr("nothing says which of its pages are damaged"));
  EXPECT_TRUE(ReadBlock(*image, kPath, 1) == Page(1, 2));
}

TEST_F(DamageTest, DamagedFileWithoutPagesIsAnError) {
  Make(PageCompression::kZlib);
  Flip(full_directory_ + "/database/postgresql.conf", 3);
  const auto image = Open(delta_directory_)->MakeImage();
  EXPECT_THAT(Failure(Read(*image, "postgresql.conf")), AllOf(HasSubstr("its checksum"), HasSubstr("backup TOTK0V")));
}

TEST_F(DamageTest, DamagedListIsRefused) {
  Make(PageCompression::kZlib);
  Flip(full_directory_ + "/backup_content.control", 30);
  EXPECT_THAT(ErrorOf(delta_directory_), AllOf(HasSubstr("the file list of backup TOTK0V"), HasSubstr("is damaged")));
}

TEST_F(DamageTest, UnknownCompressionFailsReadsOfIt) {
  Make(PageCompression::kUnknown);
  const auto image = Open(delta_directory_)->MakeImage();
  EXPECT_TRUE(ReadBlock(*image, kPath, 0) == Page(0, 1)) << "a page that is not compressed";
}

TEST_F(DamageTest, AnotherBackupsDamageDoesNotMatter) {
  Make(PageCompression::kZlib);
  Write(catalog().root() + "/backups/main/a_file", "x");
  ASSERT_TRUE(io::MakeDirectories(catalog().root() + "/backups/main/ZZZZZZ").has_value());
  Write(catalog().root() + "/backups/main/ZZZZZZ/backup.control", "\x01\x02");
  EXPECT_EQ(ErrorOf(delta_directory_), "no error");
}

TEST_F(DamageTest, MergeUnderneathIsNoticed) {
  Make(PageCompression::kZlib);
  const auto image = Open(delta_directory_)->MakeImage();
  EXPECT_TRUE(ReadBlock(*image, kPath, 1) == Page(1, 2));
  BuiltBackup merging = full_;
  merging.status = "MERGING";
  WriteControl(full_directory_, merging, 1);
  EXPECT_THAT(Failure(Read(*image, "base/5/2")), HasSubstr("got the status MERGING while it was open"));
  EXPECT_THAT(Failure(Read(*image, "postgresql.conf")), HasSubstr("got the status MERGING while it was open"));
}

TEST_F(DamageTest, ReplacedFileIsNoticed) {
  Make(PageCompression::kZlib);
  const auto image = Open(delta_directory_)->MakeImage();
  EXPECT_TRUE(ReadBlock(*image, kPath, 0) == Page(0, 1));
  const std::string copy = Content(FullStream());
  Write(FullStream() + ".new", copy);
  ASSERT_TRUE(io::Rename(FullStream() + ".new", FullStream()).has_value());
  EXPECT_THAT(Failure(ReadBlock(*image, kPath, 0)), HasSubstr("was removed while it was open"));
  EXPECT_THAT(Failure(ReadBlock(*image, kPath, 0)), HasSubstr("changed while the backup was open")) << "and stays so";
  EXPECT_TRUE(ReadBlock(*image, kPath, 1) == Page(1, 2));
}

TEST_F(DamageTest, RemovedBackupIsNoticed) {
  Make(PageCompression::kZlib);
  const auto image = Open(delta_directory_)->MakeImage();
  std::filesystem::remove_all(full_directory_);
  EXPECT_THAT(Failure(ReadBlock(*image, kPath, 0)), HasSubstr("was removed while it was open"));
}

TEST_F(DamageTest, NoteOrPinChangesNothing) {
  Make(PageCompression::kZlib);
  const auto image = Open(delta_directory_)->MakeImage();
  BuiltBackup pinned = full_;
  pinned.more_lines = "note = 'keep this'\nexpire-time = '2030-01-01 00:00:00+00'\n";
  const std::string list = Content(full_directory_ + "/backup_content.control");
  WriteControl(full_directory_, pinned, pgdata::Crc32c(AsBytes(list)));
  EXPECT_TRUE(Read(*image, kPath) == Page(0, 1) + Page(1, 2) + Page(2, 1));
}

}  // namespace
}  // namespace pgstrata::probackup
