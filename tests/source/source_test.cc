#include "backup/source/source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <tuple>

#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "tests/support/scratch_directory.h"

namespace pgstrata::source {
namespace {

using ::testing::HasSubstr;

class SourceTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::string Native(const std::string& path) const { return scratch_.path() + '/' + path; }
  void MakeDirectory(const std::string& path) { ASSERT_TRUE(io::MakeDirectories(Native(path)).has_value()); }
  void Write(const std::string& path, const std::string& content) {
    ASSERT_TRUE(io::WriteWholeFile(Native(path), content).has_value());
  }
  // As much of a data directory as makes one.
  void MakeBackup(const std::string& path) {
    MakeDirectory(path + "/global");
    Write(path + "/PG_VERSION", "15\n");
    Write(path + "/global/pg_control", "control");
  }
  static Error ErrorOf(const SourceRequest& request) {
    const auto resolved = Resolve(request);
    if (resolved) ADD_FAILURE() << request.source << " resolves";
    return resolved ? Error(ErrorCode::kInternal, "no error") : resolved.error();
  }

 private:
  test::ScratchDirectory scratch_;
};

// A NAME is looked for in the current directory: only for a hint.
class WorkingDirectory {
 public:
  explicit WorkingDirectory(const std::string& path) : before_(std::filesystem::current_path()) {
    std::filesystem::current_path(path);
  }
  WorkingDirectory(const WorkingDirectory&) = delete;
  WorkingDirectory& operator=(const WorkingDirectory&) = delete;
  ~WorkingDirectory() { std::filesystem::current_path(before_); }

 private:
  std::filesystem::path before_;
};

TEST_F(SourceTest, DirectoryResolvesToItsImage) {
  MakeBackup("monday");
  ASSERT_EQ(::symlink("monday", Native("newest").c_str()), 0);
  for (const auto& source : {Native("monday"), Native("newest"), Native("monday/"), "dir:" + Native("monday")}) {
    const auto resolved = Resolve({.source = source});
    ASSERT_TRUE(resolved.has_value()) << resolved.error().message();
    EXPECT_EQ(resolved->kind, SourceKind::kDirectory);
    EXPECT_EQ(resolved->path, Native("monday"));
    EXPECT_EQ(resolved->display_name, "monday");
    EXPECT_EQ(image::ReadSmallFile(*resolved->image, "PG_VERSION").value_or("error"), "15\n");
    EXPECT_FALSE(resolved->used_by.has_value());
  }
}

TEST_F(SourceTest, RelativePathIsTakenFromTheWorkingDirectory) {
  MakeBackup("monday");
  const WorkingDirectory here(Native("monday"));
  EXPECT_EQ(Resolve({.source = "."}).value().path, Native("monday"));
  EXPECT_EQ(Resolve({.source = "./"}).value().path, Native("monday"));
  EXPECT_EQ(Resolve({.source = "../monday"}).value().path, Native("monday"));
}

TEST_F(SourceTest, DisplayNameSaysSomethingAndIsPrintable) {
  MakeBackup("15/main");
  EXPECT_EQ(Resolve({.source = Native("15/main")}).value().display_name, "15/main");
  MakeBackup("odd\n\x1B[31mname");
  EXPECT_EQ(Resolve({.source = Native("odd\n\x1B[31mname")}).value().display_name, "odd??[31mname");
}

TEST_F(SourceTest, ControlFileBehindALinkIsFound) {
  MakeBackup("monday");
  std::filesystem::rename(Native("monday/global"), Native("monday/elsewhere"));
  ASSERT_EQ(::symlink("elsewhere", Native("monday/global").c_str()), 0);
  EXPECT_TRUE(Resolve({.source = Native("monday")}).has_value());
}

TEST_F(SourceTest, NameWithoutSlashSaysHowToNameADirectory) {
  MakeBackup("monday");
  const WorkingDirectory here(Native(""));
  const Error there = ErrorOf({.source = "monday"});
  EXPECT_EQ(there.code(), ErrorCode::kNotFound);
  EXPECT_THAT(there.hint(), HasSubstr("write \"./monday\""));
  EXPECT_THAT(ErrorOf({.source = "monday@5min ago"}).hint(), HasSubstr("write \"./monday\""));
  const Error nothing = ErrorOf({.source = "tuesday"});
  EXPECT_EQ(nothing.code(), ErrorCode::kNotFound);
  EXPECT_THAT(nothing.hint(), HasSubstr("\"./tuesday\""));
}

TEST_F(SourceTest, OtherKindsAreUnsupportedAndNamed) {
  for (const auto& [source, words] : std::vector<std::pair<std::string, std::string>>{{"store:x", "store sources"},
                                                                                      {"branch:x", "branch sources"},
                                                                                      {"postgres://h/", "live servers"},
                                                                                      {"-", "standard input"}}) {
    const Error error = ErrorOf({.source = source});
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported) << source;
    EXPECT_THAT(error.message(), HasSubstr("this version opens directories"));
    EXPECT_THAT(error.message(), HasSubstr(words));
  }
}

TEST_F(SourceTest, PathThatIsNoDirectory) {
  const Error missing = ErrorOf({.source = Native("missing")});
  EXPECT_EQ(missing.code(), ErrorCode::kNotFound);
  EXPECT_THAT(missing.message(), HasSubstr(Native("missing")));
  Write("base.tar.gz", "");
  const Error compressed = ErrorOf({.source = Native("base.tar.gz")});
  EXPECT_EQ(compressed.code(), ErrorCode::kUnsupported);
  EXPECT_THAT(compressed.message(), HasSubstr("base.tar.gz\" is compressed"));
  EXPECT_THAT(compressed.hint(), HasSubstr("decompress"));
  Write("notes.txt", "");
  const Error file = ErrorOf({.source = Native("notes.txt")});
  EXPECT_EQ(file.code(), ErrorCode::kInvalidArgument);
  EXPECT_THAT(file.message(), HasSubstr("is not a directory"));
}

TEST_F(SourceTest, DirectoryThatIsNoBackupSaysWhatWasLookedFor) {
  MakeDirectory("empty");
  const Error error = ErrorOf({.source = Native("empty")});
  EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
  EXPECT_THAT(error.message(), HasSubstr("is not a PostgreSQL backup: there is no PG_VERSION"));
  EXPECT_THAT(error.hint(), HasSubstr("global/pg_control"));
  MakeBackup("half");
  ASSERT_TRUE(io::RemoveFile(Native("half/global/pg_control")).has_value());
  EXPECT_THAT(ErrorOf({.source = Native("half")}).message(), HasSubstr("there is no global/pg_control"));
}

TEST_F(SourceTest, TheOnlyBackupBelowIsOpenedAndOfSeveralOneIsToBeNamed) {
  MakeBackup("backups/monday");
  MakeDirectory("backups/wal");
  EXPECT_EQ(Resolve({.source = Native("backups")}).value().path, Native("backups/monday"));
  MakeBackup("backups/tuesday");
  const Error error = ErrorOf({.source = Native("backups")});
  EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
  EXPECT_THAT(error.message(), HasSubstr("2 backups lie in"));
  EXPECT_THAT(error.hint(), HasSubstr('\n' + std::string("  ") + Native("backups/monday") + " ("));
  EXPECT_THAT(error.hint(), HasSubstr(Native("backups/tuesday")));
  std::vector<std::string> asked;
  const auto choose = [&](const std::string&, const std::vector<std::string>& choices) -> Result<size_t> {
    asked = choices;
    return 1;
  };
  EXPECT_EQ(Resolve({.source = Native("backups"), .choose = choose}).value().path, Native("backups/tuesday"));
  EXPECT_EQ(asked.size(), 2U);
}

// What cannot be opened as the format it is of is an error of that format: parts of a catalog are never taken for a
// plain backup, though their names look like one.
TEST_F(SourceTest, OtherFormatsAreRecognised) {
  MakeDirectory("tar");
  Write("tar/base.tar.zst", "");
  MakeBackup("probackup/database");
  Write("probackup/backup.control", "");
  MakeBackup("pgbackrest/pg_data");
  Write("pgbackrest/backup.manifest", "");
  using enum ErrorCode;
  for (const auto& [path, code, words] : std::vector<std::tuple<std::string, ErrorCode, std::string>>{
           {"tar", kUnsupported, "base.tar.zst\" is compressed"},
           {"probackup", kCorrupt, "probackup"},
           {"probackup/database", kCorrupt, "probackup"},
           {"pgbackrest", kNotFound, "pgBackRest"},
           {"pgbackrest/pg_data", kNotFound, "pgBackRest"}}) {
    const Error error = ErrorOf({.source = Native(path)});
    EXPECT_EQ(error.code(), code) << path;
    EXPECT_THAT(error.message(), HasSubstr(words));
  }
}

TEST_F(SourceTest, EachWalDirectoryBecomesAnArchiveInOrder) {
  MakeBackup("monday");
  MakeDirectory("wal1");
  MakeDirectory("wal2");
  Write("wal2/000000010000000000000003", "segment");
  const auto resolved = Resolve({.source = Native("monday"), .wal_directories = {Native("wal1"), Native("wal2")}});
  ASSERT_TRUE(resolved.has_value());
  ASSERT_EQ(resolved->wal_archives.size(), 2U);
  EXPECT_EQ(resolved->wal_archives[0]->name(), Native("wal1"));
  EXPECT_EQ(resolved->wal_archives[1]->List()->size(), 1U);
  const Error error = ErrorOf({.source = Native("monday"), .wal_directories = {Native("wal3")}});
  EXPECT_EQ(error.code(), ErrorCode::kNotFound);
  EXPECT_THAT(error.message(), HasSubstr("--wal"));
}

}  // namespace
}  // namespace pgstrata::source
