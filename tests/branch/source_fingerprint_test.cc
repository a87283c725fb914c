#include "branch/branch/source_fingerprint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "backup/image/directory_image.h"
#include "backup/image/tar_image.h"
#include "foundation/codec/sha256.h"
#include "foundation/io/file.h"
#include "tests/support/memory_image.h"
#include "tests/support/scratch_directory.h"

namespace pgstrata::branch {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class SourceFingerprints : public ::testing::Test {
 protected:
  SourceFingerprints() {
    fs::create_directories(Native("source/global"));
    fs::create_directories(Native("source/pg_wal"));
    Write("source/global/pg_control", "control");
    Write("source/a file\\of\nmany parts", "text");
    Write("source/pg_wal/000000010000000000000001", std::string(1000, 'w'));
  }
  [[nodiscard]] std::string Native(const std::string& path) const { return scratch_.path() + '/' + path; }
  [[nodiscard]] std::string Written() const { return Native("fingerprints"); }
  void Write(const std::string& path, const std::string& content) const {
    ASSERT_TRUE(io::WriteWholeFile(Native(path), content).has_value());
  }
  [[nodiscard]] std::unique_ptr<image::Image> Directory(const std::string& path = "source") const {
    auto image = image::OpenDirectory(Native(path));
    EXPECT_TRUE(image.has_value());
    return *std::move(image);
  }
  Fingerprints Take(const image::Image& image) const {
    const auto taken = TakeFingerprints(image);
    EXPECT_TRUE(taken.has_value()) << taken.error().message();
    EXPECT_TRUE(WriteFingerprints(Written(), *taken).has_value());
    return *taken;
  }
  static std::string Said(const Status& status) { return status ? "the same" : status.error().message(); }

 private:
  test::ScratchDirectory scratch_;
};

TEST_F(SourceFingerprints, UnchangedSourceIsTheSame) {
  EXPECT_EQ(Take(*Directory()).file_bytes, 11U) << "pg_wal does not count";
  EXPECT_EQ(Said(CheckFingerprints(*Directory(), Written())), "the same");
  EXPECT_EQ(Said(CheckSameBackup(*Directory(), Written())), "the same");
}

TEST_F(SourceFingerprints, FileThatChangedIsNamedAndSoAreMissingAndNewOnes) {
  Take(*Directory());
  Write("source/new", "");
  EXPECT_THAT(Said(CheckFingerprints(*Directory(), Written())), HasSubstr(Native("source/new") + "\" is new"));
  fs::remove(Native("source/new"));
  Write("source/global/pg_control", "CONTROL");
  EXPECT_THAT(Said(CheckFingerprints(*Directory(), Written())),
              HasSubstr(Native("source/global/pg_control") + "\" is another"));
  fs::remove(Native("source/a file\\of\nmany parts"));
  EXPECT_THAT(Said(CheckFingerprints(*Directory(), Written())), HasSubstr("is gone"));
}

TEST_F(SourceFingerprints, CopyIsTheSameBackupAndAnotherSource) {
  Take(*Directory());
  fs::copy(Native("source"), Native("copy"), fs::copy_options::recursive);
  EXPECT_THAT(Said(CheckFingerprints(*Directory("copy"), Written())), HasSubstr("is another"));
  EXPECT_EQ(Said(CheckSameBackup(*Directory("copy"), Written())), "the same");
  Write("copy/a file\\of\nmany parts", "longer text");
  EXPECT_THAT(Said(CheckSameBackup(*Directory("copy"), Written())), HasSubstr("has another size"));
  Write("copy/global/pg_control", "CONTROL");
  EXPECT_THAT(Said(CheckSameBackup(*Directory("copy"), Written())),
              HasSubstr("pg_control\" or backup_label is another"));
}

TEST_F(SourceFingerprints, FactsOfACatalogAreCompared) {
  test::MemoryImage image("catalog");
  image.AddFile("global/pg_control", "control");
  image.AddFile("base/1", "one");
  Take(image);
  EXPECT_EQ(Said(CheckFingerprints(image, Written())), "the same");
  EXPECT_EQ(Said(CheckSameBackup(image, Written())), "the same");
  image.AddFile("base/1", "two");
  const auto changed = CheckFingerprints(image, Written());
  EXPECT_EQ(changed.error().code(), ErrorCode::kCorrupt);
  EXPECT_THAT(Said(changed), HasSubstr("\"base/1\" of \"catalog\" is another"));
  EXPECT_THAT(Said(CheckSameBackup(image, Written())), HasSubstr("\"base/1\" is another"));
}

TEST_F(SourceFingerprints, TarIsItsArchives) {
  ASSERT_EQ(std::system(("tar -C '" + Native("source") + "' -cf '" + Native("base.tar") + "' .").c_str()), 0);
  Take(**image::OpenTar(Native("base.tar")));
  EXPECT_EQ(Said(CheckFingerprints(**image::OpenTar(Native("base.tar")), Written())), "the same");
  fs::copy(Native("base.tar"), Native("other.tar"));
  EXPECT_EQ(Said(CheckSameBackup(**image::OpenTar(Native("other.tar")), Written())), "the same");
  fs::last_write_time(Native("base.tar"), fs::file_time_type::clock::now() + std::chrono::hours(1));
  EXPECT_THAT(Said(CheckFingerprints(**image::OpenTar(Native("base.tar")), Written())),
              HasSubstr("\"base.tar\" of \"" + Native("base.tar") + "\" is another"));
}

TEST_F(SourceFingerprints, ThoseOfTheFirstVersionAreRead) {
  std::string text = Take(*Directory()).text;
  text.replace(0, text.find('\n'), "pgstrata source 1");
  text.resize(text.rfind("sha256 "));
  text += "sha256 " + codec::ToHex(codec::Sha256::Of(AsBytes(text))) + '\n';
  ASSERT_TRUE(io::WriteWholeFile(Written(), text).has_value());
  EXPECT_EQ(Said(CheckFingerprints(*Directory(), Written())), "the same");
  Write("source/new", "");
  EXPECT_THAT(Said(CheckFingerprints(*Directory(), Written())), HasSubstr("is new"));
}

TEST_F(SourceFingerprints, DamagedAndNewerOnesAreRefused) {
  const std::string text = Take(*Directory()).text;
  for (const std::string& damaged : {text.substr(0, text.size() - 1), "x" + text, std::string()}) {
    ASSERT_TRUE(io::WriteWholeFile(Written(), damaged).has_value());
    EXPECT_THAT(Said(CheckFingerprints(*Directory(), Written())), HasSubstr("is damaged, or of a newer pgstrata"));
  }
}

}  // namespace
}  // namespace pgstrata::branch
