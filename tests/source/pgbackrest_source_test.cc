// "pgbackrest:..." in every form of docs/sources.md.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "backup/source/source.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "tests/pgbackrest/repository_writer.h"
#include "tests/support/scratch_directory.h"

namespace pgstrata::source {
namespace {

using ::testing::HasSubstr;

constexpr const char* kFirst = "20261120-210437F";
constexpr const char* kPassphrase = "open-sesame";

// A variable of the environment for as long as this lives.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) { ::setenv(name, value.c_str(), 1); }
  ~Variable() { ::unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
};

class PgbackrestSourceTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::string Native(const std::string& path) const { return scratch_.path() + '/' + path; }
  void Write(const std::string& path, const std::string& content) {
    ASSERT_TRUE(io::WriteWholeFile(Native(path), content).has_value());
  }
  void MakeRepository(const std::string& path, const test::WriterOptions& options = {}) {
    ASSERT_TRUE(io::MakeDirectories(Native(path)).has_value());
    test::RepositoryWriter writer(Native(path), options);
    writer.AddFile("PG_VERSION", "15\n", 0600);
    writer.AddFile("base/5/1", std::string(3'000'000, 'x'), 0600);
    writer.AddWal("000000010000000000000003", std::string(1 << 20, 'w'));
    writer.AddWal("00000002.history", "1\t0/3000000\tno reason\n");
    writer.Finish();
  }
  [[nodiscard]] Result<ResolvedSource> Open(const std::string& source) const {
    return Resolve({.source = source, .cache_directory = Native("cache")});
  }
  static void ExpectOpened(const Result<ResolvedSource>& resolved) {
    ASSERT_TRUE(resolved.has_value()) << resolved.error().message();
    EXPECT_EQ(resolved->kind, SourceKind::kPgbackrest);
    EXPECT_EQ(resolved->display_name, std::string("main/") + kFirst);
    EXPECT_EQ(image::ReadSmallFile(*resolved->image, "PG_VERSION").value_or("error"), "15\n");
  }

 private:
  test::ScratchDirectory scratch_;
};

TEST_F(PgbackrestSourceTest, RepositoryStanzaAndLabelAreFoundInThePath) {
  MakeRepository("a/repo");
  for (const std::string rest : {"a/repo/main", "a/repo/main/", "a/repo/main/20261120-210437F"}) {
    const auto resolved = Open("pgbackrest:" + Native(rest));
    ExpectOpened(resolved);
    EXPECT_EQ(resolved->path, Native("a/repo/backup/main/20261120-210437F"));
    ASSERT_EQ(resolved->wal_archives.size(), 1U);
    EXPECT_TRUE(resolved->wal_archives[0]->Open("000000010000000000000003").has_value());
    EXPECT_TRUE(resolved->wal_archives[0]->Open("00000002.history").has_value());
    EXPECT_FALSE(resolved->first_touch.has_value());
  }
}

TEST_F(PgbackrestSourceTest, WithoutAnArchiveOrWithADamagedOneTheFilesAreReadAllTheSame) {
  MakeRepository("repo");
  for (const char* name : {"archive.info", "archive.info.copy"}) Write(std::string("repo/archive/main/") + name, "?");
  const auto damaged = Open("pgbackrest:" + Native("repo/main"));
  ExpectOpened(damaged);
  EXPECT_TRUE(damaged->wal_archives.empty());
  std::filesystem::remove_all(Native("repo/archive"));
  ExpectOpened(Open("pgbackrest:" + Native("repo/main")));
}

TEST_F(PgbackrestSourceTest, WhatIsNotThereIsExplained) {
  MakeRepository("repo");
  const auto no_stanza = Open("pgbackrest:" + Native("repo/other"));
  ASSERT_FALSE(no_stanza.has_value());
  EXPECT_EQ(no_stanza.error().code(), ErrorCode::kNotFound);
  EXPECT_THAT(no_stanza.error().hint(), HasSubstr("pgbackrest:REPO/STANZA"));
  const auto no_backup = Open("pgbackrest:" + Native("repo/main/20200101-000000F"));
  ASSERT_FALSE(no_backup.has_value());
  EXPECT_THAT(no_backup.error().hint(), HasSubstr(kFirst));
}

TEST_F(PgbackrestSourceTest, AStanzaAloneIsLookedUpInTheConfiguration) {
  MakeRepository("two");
  Write("pgbackrest.conf", "[global]\nrepo1-type=s3\nrepo2-path=" + Native("two") + "\n[main]\npg1-path=/data\n");
  const Variable configuration("PGBACKREST_CONFIG", Native("pgbackrest.conf"));
  ExpectOpened(Open("pgbackrest:main"));
  ExpectOpened(Open("pgbackrest:main/20261120-210437F"));
  const auto other = Open("pgbackrest:other");
  ASSERT_FALSE(other.has_value());
  EXPECT_THAT(other.error().message(), HasSubstr("does not name the stanza \"other\""));
  Write("pgbackrest.conf", "[main]\nrepo1-host=elsewhere\n");
  const auto remote = Open("pgbackrest:main");
  ASSERT_FALSE(remote.has_value());
  EXPECT_THAT(remote.error().message(), HasSubstr("on another machine, \"elsewhere\""));
}

TEST_F(PgbackrestSourceTest, WithoutAConfigurationTheRepositoryMustBeNamed) {
  const Variable configuration("PGBACKREST_CONFIG", Native("missing.conf"));
  const auto resolved = Open("pgbackrest:main");
  ASSERT_FALSE(resolved.has_value());
  EXPECT_THAT(resolved.error().hint(), HasSubstr("pgbackrest:REPO/main"));
}

TEST_F(PgbackrestSourceTest, ThePassphraseIsTakenFromWhereItIsGiven) {
  MakeRepository("repo", {.compress_type = "gz", .passphrase = kPassphrase});
  const std::string source = "pgbackrest:" + Native("repo/main");
  Write("pass", std::string(kPassphrase) + "\n");
  Write("pgbackrest.conf", "[global]\nrepo1-path=/elsewhere\nrepo1-cipher-pass=wrong\nrepo2-path=" + Native("repo") +
                               "\nrepo2-cipher-pass=" + kPassphrase + "\n[main]\npg1-path=/data\n");
  for (const char* file : {"pass", "pgbackrest.conf"}) {
    ExpectOpened(Resolve({.source = source, .passphrase_file = Native(file)}));
  }
  {
    const Variable passphrase("PGBACKREST_REPO1_CIPHER_PASS", kPassphrase);
    ExpectOpened(Open(source));
  }
  {
    const Variable configuration("PGBACKREST_CONFIG", Native("pgbackrest.conf"));
    ExpectOpened(Open(source));
    ExpectOpened(Open("pgbackrest:main"));
  }
  std::string asked;
  ExpectOpened(Resolve({.source = source, .ask_passphrase = [&](const std::string& prompt) -> Result<std::string> {
                          asked = prompt;
                          return std::string(kPassphrase);
                        }}));
  EXPECT_THAT(asked, HasSubstr(Native("repo")));
}

TEST_F(PgbackrestSourceTest, ARepositoryNamedByItsPathHasTheNumberOfTheConfiguration) {
  MakeRepository("repo", {.passphrase = kPassphrase});
  Write("pgbackrest.conf", "[global]\nrepo1-path=/elsewhere\nrepo2-path=" + Native("repo") + "\n");
  const Variable configuration("PGBACKREST_CONFIG", Native("pgbackrest.conf"));
  const Variable passphrase("PGBACKREST_REPO2_CIPHER_PASS", kPassphrase);
  ExpectOpened(Open("pgbackrest:" + Native("repo/main")));
}

TEST_F(PgbackrestSourceTest, ItIsResolvedAgainByKindAndPath) {
  MakeRepository("repo");
  const auto first = Open("pgbackrest:" + Native("repo/main"));
  ExpectOpened(first);
  const auto again = Open(std::string(KindWord(first->kind)) + ':' + first->path);
  ExpectOpened(again);
  EXPECT_EQ(again->path, first->path);
}

TEST_F(PgbackrestSourceTest, NoPassphraseIsPrinted) {
  MakeRepository("repo", {.passphrase = kPassphrase});
  const std::string source = "pgbackrest:" + Native("repo/main");
  const auto none = Open(source);
  ASSERT_FALSE(none.has_value());
  EXPECT_EQ(none.error().code(), ErrorCode::kPermission);
  EXPECT_THAT(none.error().hint(), HasSubstr("PGBACKREST_REPO1_CIPHER_PASS"));
  const Variable passphrase("PGBACKREST_REPO1_CIPHER_PASS", "not-the-secret");
  const auto wrong = Open(source);
  ASSERT_FALSE(wrong.has_value());
  EXPECT_THAT(wrong.error().message() + wrong.error().hint(), Not(HasSubstr("not-the-secret")));
}

TEST_F(PgbackrestSourceTest, WhatAFirstReadCostsIsKnownBefore) {
  MakeRepository("repo", {.compress_type = "gz"});
  const auto resolved = Open("pgbackrest:" + Native("repo/main"));
  ASSERT_TRUE(resolved.has_value()) << resolved.error().message();
  ASSERT_TRUE(resolved->first_touch.has_value());
  EXPECT_EQ(resolved->first_touch->files, 1U);
  EXPECT_EQ(resolved->first_touch->bytes, 3'000'000U);
  EXPECT_EQ(resolved->first_touch->largest, "base/5/1");
  EXPECT_EQ(resolved->first_touch->files_in_cache, 0U);
  const auto file = resolved->image->Open("base/5/1");
  std::vector<std::byte> bytes(3'000'000);
  ASSERT_TRUE((*file)->ReadAt(0, bytes).has_value());
  EXPECT_EQ(Open("pgbackrest:" + Native("repo/main"))->first_touch->files_in_cache, 1U);
}

TEST_F(PgbackrestSourceTest, ADirectoryOfTheRepositoryIsKnownByItself) {
  MakeRepository("repo");
  for (const std::string path :
       {"", "/backup", "/backup/main", "/backup/main/20261120-210437F", "/backup/main/20261120-210437F/pg_data"}) {
    const auto resolved = Resolve({.source = Native("repo") + path});
    ExpectOpened(resolved);
    EXPECT_EQ(resolved->path, Native("repo/backup/main/20261120-210437F"));
    EXPECT_FALSE(resolved->is_plain_directory);
  }
}

}  // namespace
}  // namespace pgstrata::source
