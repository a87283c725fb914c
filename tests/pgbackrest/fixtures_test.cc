// Repositories that pgBackRest has written (tests/data/pgbackrest), against what it restored from them; and what
// happens where they are damaged.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "backup/image/checksum_list.h"
#include "catalog/pgbackrest/repository.h"
#include "catalog/pgbackrest/verify.h"
#include "foundation/base/text.h"
#include "foundation/codec/sha1.h"
#include "foundation/codec/sha256.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "foundation/io/process.h"
#include "tests/support/flip.h"
#include "tests/support/scratch_directory.h"

namespace pgstrata::pgbackrest {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr const char* kPassphrase = "fixture-pass-c-0123456789";

std::string DataDirectory() { return std::string(PGSTRATA_SOURCE_DIR) + "/tests/data/pgbackrest"; }

// One of the repositories, unpacked.
class Fixture {
 public:
  explicit Fixture(std::string name) : name_(std::move(name)) {
    io::SpawnOptions options;
    options.argv = {"tar", "--zstd", "-xf", DataDirectory() + '/' + name_ + ".tar.zst", "-C", scratch_.path()};
    const auto run = io::RunAndCapture(options);
    if (!run || run->status.AsShell() != 0) ADD_FAILURE() << "tar did not unpack " << name_;
  }

  [[nodiscard]] std::string root() const { return scratch_.path() + '/' + name_ + "/repo"; }
  [[nodiscard]] std::string Native(const std::string& path) const { return root() + '/' + path; }
  [[nodiscard]] std::unique_ptr<Repository> Open() const {
    auto repository = Repository::Open(root(), "main", kPassphrase);
    if (!repository) ADD_FAILURE() << repository.error().message();
    return repository ? *std::move(repository) : nullptr;
  }
  [[nodiscard]] std::unique_ptr<BackupImage> OpenBackup(const std::string& label) const {
    auto image = Open()->OpenBackup(label, std::make_shared<image::DecodedCache>(scratch_.path() + "/cache"));
    if (!image) ADD_FAILURE() << image.error().message();
    return image ? *std::move(image) : nullptr;
  }
  // Changes one byte of a file.
  void Flip(const std::string& path, uint64_t offset) const { test::FlipByte(Native(path), offset); }

 private:
  const std::string name_;
  test::ScratchDirectory scratch_;
};

Status ReadAll(const image::Image& image, const std::string& path) {
  PGS_ASSIGN(const auto file, image.Open(path));
  std::vector<std::byte> bytes(file->size());
  return file->ReadAt(0, bytes);
}

std::vector<Damage> Verify(const BackupImage& image) {
  std::vector<Damage> damages;
  const auto result = VerifyBackup(image, {}, {.threads = 2}, [&](const Damage& damage) { damages.push_back(damage); });
  EXPECT_EQ(result.damages, damages.size());
  return damages;
}

struct Case {
  std::string name;
  std::string label;
};
void PrintTo(const Case& tested, std::ostream* out) { *out << tested.name << ' ' << tested.label; }

class RestoredBackup : public ::testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Fixtures, RestoredBackup,
                         ::testing::Values(Case{"bundle_block_zst", "20261120-210437F"},
                                           Case{"bundle_block_zst", "20261120-210437F_20261120-210440D"},
                                           Case{"bundle_block_zst", "20261120-210437F_20261120-210442I"},
                                           Case{"bundle_block_zst", "20261120-210437F_20261120-210443I"},
                                           Case{"plain_gz", "20261120-210509F"},
                                           Case{"plain_gz", "20261120-210509F_20261120-210513I"},
                                           Case{"encrypted_lz4", "20261120-210526F"},
                                           Case{"encrypted_lz4", "20261120-210526F_20261120-210527D"},
                                           Case{"tablespace_none", "20261120-210539F"},
                                           Case{"tablespace_none", "20261120-210539F_20261120-210541I"}),
                         [](const auto& info) {
                           std::string name = info.param.name + '_' + info.param.label;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

TEST_P(RestoredBackup, HasEveryFileAsPgbackrestRestoresIt) {
  const Fixture fixture(GetParam().name);
  const auto image = fixture.OpenBackup(GetParam().label);
  std::set<std::string> shown;
  const auto visited = image::VisitChecksums(*image, "", 2, [&](const image::FileChecksum& file) -> Status {
    shown.insert(image::FormatChecksumLine(file));
    return {};
  });
  ASSERT_TRUE(visited.has_value()) << visited.error().message();
  std::ifstream expected(DataDirectory() + '/' + GetParam().name + '.' + GetParam().label + ".sha256");
  std::string line;
  size_t lines = 0;
  for (; std::getline(expected, line); ++lines) EXPECT_TRUE(shown.contains(line)) << line;
  EXPECT_GT(lines, 150U);
  EXPECT_LE(shown.size(), lines + 4);  // what a restore makes itself
}

TEST_P(RestoredBackup, VerifiesWithoutDamage) {
  const Fixture fixture(GetParam().name);
  for (const auto& damage : Verify(*fixture.OpenBackup(GetParam().label))) {
    ADD_FAILURE() << damage.path << ": " << damage.problem;
  }
}

TEST_P(RestoredBackup, HasItsWal) {
  const Fixture fixture(GetParam().name);
  const auto repository = fixture.Open();
  const auto image = fixture.OpenBackup(GetParam().label);
  const auto archive = repository->OpenArchive(image->manifest());
  ASSERT_TRUE(archive.has_value()) << archive.error().message();
  ASSERT_NE(*archive, nullptr);
  const auto& backups = repository->backups();
  const auto record = std::ranges::find(backups, GetParam().label, &BackupRecord::label);
  ASSERT_NE(record, backups.end());
  const auto segment = (*archive)->Open(record->first_wal);
  ASSERT_TRUE(segment.has_value()) << segment.error().message();
  EXPECT_EQ((*segment)->size(), 1U << 20);
  const auto listed = (*archive)->List();
  ASSERT_TRUE(listed.has_value());
  EXPECT_TRUE(std::ranges::is_sorted(*listed, {}, &image::WalFile::name));
  const auto history = std::ranges::find_if(*listed, [](const auto& file) { return file.name.ends_with(".backup"); });
  ASSERT_NE(history, listed->end());
  const auto opened = (*archive)->Open(history->name);
  ASSERT_TRUE(opened.has_value());
  std::string text((*opened)->size(), '?');
  ASSERT_TRUE((*opened)->ReadAt(0, std::as_writable_bytes(std::span(text))).has_value());
  EXPECT_THAT(text, HasSubstr("START WAL LOCATION"));
  EXPECT_EQ((*archive)->Open("0000000100000000000000FF").error().code(), ErrorCode::kNotFound);
}

TEST(RepositoryTest, ListsItsBackupsAndKnowsTheLatest) {
  const auto repository = Fixture("bundle_block_zst").Open();
  ASSERT_EQ(repository->backups().size(), 4U);
  const auto& last = repository->backups().back();
  EXPECT_EQ(repository->Latest()->label, last.label);
  EXPECT_EQ(last.label, "20261120-210437F_20261120-210443I");
  EXPECT_EQ(last.type, "incr");
  EXPECT_EQ(last.prior, "20261120-210437F_20261120-210442I");
  EXPECT_EQ(last.references.size(), 3U);
  EXPECT_EQ(last.start_lsn, "0/2900028");
  EXPECT_EQ(last.stop_time, 1795208684);
  EXPECT_EQ(last.size, 42539425U);
}

TEST(RepositoryTest, ABackupThatIsNotThereIsNamedWithThoseThatAre) {
  const auto repository = Fixture("plain_gz").Open();
  const auto opened = repository->OpenBackup("20200101-000000F", nullptr);
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code(), ErrorCode::kNotFound);
  EXPECT_THAT(opened.error().hint(), HasSubstr("20261120-210509F_20261120-210513I"));
  const auto other = Repository::Open(repository->root(), "other", "");
  EXPECT_EQ(other.error().code(), ErrorCode::kNotFound);
  EXPECT_THAT(other.error().message(), HasSubstr("no stanza \"other\""));
}

TEST(RepositoryTest, WithoutTheRightPassphraseNothingIsOpenedAndNoneIsPrinted) {
  const Fixture fixture("encrypted_lz4");
  EXPECT_TRUE(Repository::IsEncrypted(fixture.root(), "main").value_or(false));
  const auto none = Repository::Open(fixture.root(), "main", "");
  ASSERT_FALSE(none.has_value());
  EXPECT_EQ(none.error().code(), ErrorCode::kPermission);
  const auto wrong = Repository::Open(fixture.root(), "main", "another-secret");
  ASSERT_FALSE(wrong.has_value());
  EXPECT_THAT(wrong.error().message() + wrong.error().hint(),
              AllOf(HasSubstr("passphrase"), Not(HasSubstr("another-secret"))));
}

TEST(RepositoryTest, TheCopyIsTakenWhereAnInfoFileOrManifestIsDamaged) {
  const Fixture fixture("bundle_block_zst");
  const std::string label = "20261120-210437F_20261120-210440D";
  fixture.Flip("backup/main/backup.info", 200);
  fixture.Flip("backup/main/" + label + "/backup.manifest", 5000);
  ASSERT_TRUE(io::RemoveFile(fixture.Native("archive/main/archive.info")).has_value());
  const auto image = fixture.OpenBackup(label);
  EXPECT_TRUE(ReadAll(*image, "PG_VERSION").has_value());
  EXPECT_TRUE(fixture.Open()->OpenArchive(image->manifest()).has_value());
  fixture.Flip("backup/main/" + label + "/backup.manifest.copy", 5000);
  const auto damaged = fixture.Open()->OpenBackup(label, nullptr);
  ASSERT_FALSE(damaged.has_value());
  EXPECT_EQ(damaged.error().code(), ErrorCode::kCorrupt);
  EXPECT_THAT(damaged.error().message(), AllOf(HasSubstr(label), HasSubstr("backup.manifest"), HasSubstr("damaged")));
}

TEST(DamageTest, AFlippedByteOfASuperBlockFailsOnlyTheBlocksInIt) {
  const Fixture fixture("bundle_block_zst");
  fixture.Flip("backup/main/20261120-210437F/pg_data/base/5/16384.pgbi", 700'000);
  const auto image = fixture.OpenBackup("20261120-210437F");
  const auto file = image->Open("base/5/16384");
  ASSERT_TRUE(file.has_value());
  std::vector<uint64_t> failed;
  std::vector<std::byte> page(8192);
  for (uint64_t offset = 0; offset < (*file)->size(); offset += page.size()) {
    const auto read = (*file)->ReadAt(offset, page);
    if (read) continue;
    EXPECT_THAT(read.error().message(), AllOf(HasSubstr("backup 20261120-210437F"), HasSubstr("\"base/5/16384\""),
                                              HasSubstr("block " + std::to_string(offset / page.size()))));
    EXPECT_EQ(read.error().code(), ErrorCode::kCorrupt);
    failed.push_back(offset / page.size());
  }
  ASSERT_FALSE(failed.empty());
  EXPECT_LE(failed.size(), 128U);  // a super block of a full backup has one megabyte
  EXPECT_LT(failed.size(), (*file)->size() / page.size());
  EXPECT_TRUE(ReadAll(*image, "base/1/1259").has_value());
  const auto damages = Verify(*image);
  EXPECT_EQ(damages.size(), failed.size());
  for (size_t i = 0; i < damages.size(); ++i) EXPECT_EQ(damages[i].block, failed[i]);
  EXPECT_TRUE(std::ranges::all_of(damages, [](const Damage& damage) { return damage.path == "base/5/16384"; }));
}

TEST(DamageTest, AFlippedByteOfAStreamFailsOnlyThatFile) {
  const Fixture fixture("plain_gz");
  const auto image = fixture.OpenBackup("20261120-210509F");
  fixture.Flip("backup/main/20261120-210509F/pg_data/base/1/1247.gz", 5000);
  const auto read = ReadAll(*image, "base/1/1247");
  ASSERT_FALSE(read.has_value());
  EXPECT_EQ(read.error().code(), ErrorCode::kCorrupt);
  EXPECT_THAT(read.error().message(), AllOf(HasSubstr("backup 20261120-210509F"), HasSubstr("base/1/1247")));
  EXPECT_TRUE(ReadAll(*image, "base/1/1259").has_value());
  EXPECT_FALSE(Verify(*image).empty());
}

TEST(DamageTest, ALostFileFailsOnlyWhatIsInIt) {
  const Fixture fixture("bundle_block_zst");
  const auto image = fixture.OpenBackup("20261120-210437F_20261120-210443I");
  ASSERT_TRUE(io::RemoveFile(fixture.Native("backup/main/20261120-210437F/bundle/2")).has_value());
  size_t failed = 0;
  size_t whole = 0;
  ASSERT_TRUE(image::Walk(*image, "", [&](const std::string& path, const image::Entry& entry) -> Status {
                if (entry.kind != image::EntryKind::kFile) return {};
                const auto read = ReadAll(*image, path);
                ++(read ? whole : failed);
                if (!read) {
                  EXPECT_THAT(read.error().message(),
                              AllOf(HasSubstr(path), HasSubstr("bundle/2\" of the repository is missing")));
                }
                return {};
              }).has_value());
  EXPECT_GT(failed, 0U);
  EXPECT_GT(whole, failed);
}

TEST(DamageTest, ADamagedBlockMapFailsOnlyItsFile) {
  const Fixture fixture("bundle_block_zst");
  const auto image = fixture.OpenBackup("20261120-210437F");
  const auto& files = image->manifest().files;
  const auto file = std::ranges::find(files, "pg_data/base/5/16384", &ManifestFile::name);
  ASSERT_NE(file, files.end());
  fixture.Flip("backup/main/20261120-210437F/pg_data/base/5/16384.pgbi", file->stored_size - file->map_size + 1);
  EXPECT_FALSE(ReadAll(*image, "base/5/16384").has_value());
  EXPECT_TRUE(ReadAll(*image, "PG_VERSION").has_value());
}

TEST(DamageTest, AChecksumOfTheMapThatIsAnotherShowsWhenTheBlockIsRead) {
  const Fixture fixture("bundle_block_zst");
  const auto image = fixture.OpenBackup("20261120-210437F");
  const auto& files = image->manifest().files;
  const auto file = std::ranges::find(files, "pg_data/base/5/16384", &ManifestFile::name);
  fixture.Flip("backup/main/20261120-210437F/pg_data/base/5/16384.pgbi", file->stored_size - 1);
  const auto opened = image->Open("base/5/16384");
  std::vector<std::byte> page(8192);
  EXPECT_TRUE((*opened)->ReadAt(0, page).has_value());
  EXPECT_FALSE((*opened)->ReadAt((*opened)->size() - page.size(), page).has_value());
}

TEST(ChangeTest, ABackupThatIsExpiredWhileItIsOpenIsNoticed) {
  const Fixture fixture("plain_gz");
  const auto image = fixture.OpenBackup("20261120-210509F");
  EXPECT_TRUE(ReadAll(*image, "base/1/1259").has_value());
  std::filesystem::remove_all(fixture.Native("backup/main/20261120-210509F"));
  const auto read = ReadAll(*image, "base/1/1247");
  ASSERT_FALSE(read.has_value());
  EXPECT_EQ(read.error().code(), ErrorCode::kCorrupt);
  EXPECT_THAT(read.error().message(), HasSubstr("missing"));
}

TEST(ChangeTest, AStoredFileThatIsReplacedIsNeverMixedWithTheOldOne) {
  const Fixture fixture("tablespace_none");
  const auto image = fixture.OpenBackup("20261120-210539F");
  const std::string bundle = fixture.Native("backup/main/20261120-210539F/bundle/1");
  EXPECT_TRUE(ReadAll(*image, "PG_VERSION").has_value());
  std::filesystem::copy_file(bundle, bundle + ".new");
  std::filesystem::rename(bundle + ".new", bundle);
  for (const auto& file : image->manifest().files) {
    if (file.bundle != 1 || file.size == 0 || file.name == "pg_data/PG_VERSION") continue;
    const auto read = ReadAll(*image, std::string(ImagePathOf(file.name)));
    ASSERT_FALSE(read.has_value()) << file.name;
    EXPECT_EQ(read.error().code(), ErrorCode::kCorrupt);
  }
}

TEST(WalTest, ASegmentWithAnotherSha1ThanItsNameSaysIsCorrupt) {
  const Fixture fixture("plain_gz");
  const auto repository = fixture.Open();
  const auto image = fixture.OpenBackup("20261120-210509F");
  const std::string name = repository->backups().front().first_wal;
  const std::string directory = fixture.Native("archive/main/15-1/" + name.substr(0, 16));
  const auto files = io::ListDirectory(directory);
  const auto stored = std::ranges::find_if(*files, [&](const auto& file) { return file.starts_with(name + '-'); });
  ASSERT_NE(stored, files->end());
  std::string renamed = *stored;
  renamed[30] = renamed[30] == '0' ? '1' : '0';
  std::filesystem::rename(directory + '/' + *stored, directory + '/' + renamed);
  const auto archive = repository->OpenArchive(image->manifest());
  const auto opened = (*archive)->Open(name);
  ASSERT_FALSE(opened.has_value());
  EXPECT_THAT(opened.error().message(), HasSubstr("SHA-1"));
  std::filesystem::copy_file(directory + '/' + renamed, directory + '/' + *stored);
  const auto twice = (*archive)->Open(name);
  ASSERT_FALSE(twice.has_value());
  EXPECT_THAT(twice.error().message(), HasSubstr("different WAL of the same name"));
}

}  // namespace
}  // namespace pgstrata::pgbackrest
