#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/cli/exit_status.h"
#include "foundation/codec/json.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "tests/cli/run_program.h"
#include "tests/support/scratch_directory.h"

namespace pgstrata::cli {
namespace {

using ::testing::HasSubstr;

constexpr std::string_view kSha256OfAbc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

class LsCatTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* path : {"data/global", "data/base/1", "data/pg_tblspc", "space", "wal"}) {
      ASSERT_TRUE(io::MakeDirectories(Native(path)).has_value());
    }
    Write("data/PG_VERSION", "15\n");
    Write("data/global/pg_control", "abc");
    Write("data/base/1/2", "table");
    Write("data/base-x", "");
    Write("space/f", "in a tablespace");
    Write("wal/000000010000000000000001", "segment");
    ASSERT_EQ(::symlink(Native("space").c_str(), Native("data/pg_tblspc/16400").c_str()), 0);
    ASSERT_EQ(::symlink(Native("wal").c_str(), Native("data/pg_wal").c_str()), 0);
    ASSERT_EQ(::symlink("base/1", Native("data/one").c_str()), 0);
  }
  [[nodiscard]] std::string Native(const std::string& path) const { return scratch_.path() + '/' + path; }
  void Write(const std::string& path, const std::string& content) {
    ASSERT_TRUE(io::WriteWholeFile(Native(path), content).has_value());
  }
  [[nodiscard]] std::string Out(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin() + 1, Native("data"));
    const Ran ran = RunCommand(arguments);
    EXPECT_EQ(ran.status, 0) << ran.err;
    EXPECT_EQ(ran.err, "");
    return ran.out;
  }

 private:
  test::ScratchDirectory scratch_;
};

TEST_F(LsCatTest, LsShowsADirectoryWithGraftsAsDirectories) {
  EXPECT_EQ(Out({"ls"}), "PG_VERSION\nbase/\nbase-x\nglobal/\none\npg_tblspc/\npg_wal/\n");
  EXPECT_EQ(Out({"ls", "pg_wal"}), "000000010000000000000001\n");
  EXPECT_EQ(Out({"ls", "pg_wal/"}), "000000010000000000000001\n");
  EXPECT_EQ(Out({"ls", "one"}), "2\n");
  EXPECT_EQ(Out({"ls", "./base/1/2"}), "2\n");
}

TEST_F(LsCatTest, LsRecursiveShowsPaths) {
  EXPECT_EQ(Out({"ls", "-R"}),
            "PG_VERSION\nbase/\nbase/1/\nbase/1/2\nbase-x\nglobal/\nglobal/pg_control\none\npg_tblspc/\n"
            "pg_tblspc/16400/\npg_tblspc/16400/f\npg_wal/\npg_wal/000000010000000000000001\n");
  EXPECT_EQ(Out({"ls", "-R", "base"}), "base/1/\nbase/1/2\n");
}

TEST_F(LsCatTest, LsLongShowsModeSizeTimeAndTargets) {
  ASSERT_EQ(::chmod(Native("data/PG_VERSION").c_str(), 0640), 0);
  const timespec times[2] = {{.tv_sec = 0, .tv_nsec = 0}, {.tv_sec = 1'000'000'000, .tv_nsec = 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, Native("data/PG_VERSION").c_str(), times, 0), 0);
  const std::string out = Out({"ls", "-l"});
  EXPECT_THAT(out, HasSubstr("-rw-r-----            3 2001-09-09 01:46:40+00 PG_VERSION\n"));
  EXPECT_THAT(out, HasSubstr(" one -> base/1\n"));
  EXPECT_THAT(out, HasSubstr(" pg_wal/ (a link to " + Native("wal") + ")\n"));
  EXPECT_THAT(out, HasSubstr("drwx------            - "));
}

TEST_F(LsCatTest, LsChecksumIsSortedByPathBytes) {
  const std::string out = Out({"ls", "--checksum"});
  EXPECT_THAT(out, HasSubstr(std::string(kSha256OfAbc) + " 3 0600 global/pg_control\n"));
  std::vector<std::string> paths;
  std::istringstream lines(out);
  for (std::string line; std::getline(lines, line);) paths.push_back(line.substr(line.find_last_of(' ') + 1));
  EXPECT_THAT(paths, ::testing::ElementsAre("PG_VERSION", "base-x", "base/1/2", "global/pg_control",
                                            "pg_tblspc/16400/f", "pg_wal/000000010000000000000001"));
  EXPECT_EQ(Out({"ls", "--checksum", "-R"}), out);
  EXPECT_EQ(Out({"ls", "--checksum", "global"}), std::string(kSha256OfAbc) + " 3 0600 global/pg_control\n");
}

TEST_F(LsCatTest, NamesCannotReachTheTerminalOrBreakALine) {
  Write("data/base/1/a\n\x1B[31m\\", "abc");
  EXPECT_EQ(Out({"ls", "base/1"}), "2\na\\n\\033[31m\\\\\n");
  EXPECT_THAT(Out({"ls", "--checksum", "base/1"}),
              HasSubstr(std::string(kSha256OfAbc) + " 3 0600 base/1/a\\n\x1B[31m\\\\\n"));
}

TEST_F(LsCatTest, LsJsonHoldsEverything) {
  Write("data/base/1/\xFF", "");
  const auto all = codec::ParseJson(Out({"ls", "--json"}));
  ASSERT_TRUE(all.has_value());
  ASSERT_EQ(all->size(), 7U);
  EXPECT_EQ(all->at(0).at("path"), "PG_VERSION");
  EXPECT_EQ(all->at(0).at("kind"), "file");
  EXPECT_EQ(all->at(0).at("mode"), "0600");
  EXPECT_EQ(all->at(0).at("size"), 3);
  EXPECT_EQ(all->at(4).at("target"), "base/1");
  EXPECT_EQ(all->at(6).at("link_to"), Native("wal"));
  const auto odd = codec::ParseJson(Out({"ls", "--json", "base/1"}));
  EXPECT_EQ(odd->at(1).at("path_hex"), "626173652f312fff");
  const auto checksums = codec::ParseJson(Out({"ls", "--json", "--checksum", "global"}));
  EXPECT_EQ(checksums->at(0).at("sha256"), kSha256OfAbc);
  EXPECT_EQ(checksums->at(0).at("path"), "global/pg_control");
  ASSERT_TRUE(io::MakeDirectories(Native("data/empty")).has_value());
  EXPECT_EQ(Out({"ls", "--json", "empty"}), "[]\n");
}

TEST_F(LsCatTest, CatWritesTheBytesOfAFile) {
  std::string bytes;
  for (int i = 0; i < 3'000'000; ++i) bytes += static_cast<char>(i * 7);
  Write("data/base/1/large", bytes);
  EXPECT_TRUE(Out({"cat", "base/1/large"}) == bytes);
  EXPECT_EQ(Out({"cat", "one/2"}), "table");
  EXPECT_EQ(Out({"cat", "pg_tblspc/16400/f"}), "in a tablespace");
  EXPECT_EQ(Out({"cat", "base-x"}), "");
}

TEST_F(LsCatTest, WhatIsNotThereIsSaid) {
  for (const char* command : {"ls", "cat"}) {
    const Ran ran = RunCommand({command, Native("data"), "no/such"});
    EXPECT_EQ(ran.status, ExitStatusOf(ErrorCode::kNotFound));
    EXPECT_THAT(ran.err, HasSubstr("no/such"));
    EXPECT_EQ(ran.out, "");
    EXPECT_EQ(RunCommand({command, Native("space"), "f"}).status, ExitStatusOf(ErrorCode::kInvalidArgument));
  }
  const Ran directory = RunCommand({"cat", Native("data"), "base"});
  EXPECT_EQ(directory.status, ExitStatusOf(ErrorCode::kInvalidArgument));
  EXPECT_THAT(directory.err, HasSubstr("not a regular file"));
}

TEST_F(LsCatTest, OutputThatCannotBeWrittenIsAnError) {
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"ls", Native("data")}, {"ls", "--checksum", Native("data")}, {"cat", Native("data"), "PG_VERSION"}}) {
    std::ostringstream err;
    std::ostream closed(nullptr);
    Output output{.out = closed, .err = err};
    EXPECT_EQ(RunProgram(arguments, output), ExitStatusOf(ErrorCode::kIo));
    EXPECT_THAT(err.str(), HasSubstr("standard output"));
  }
}

TEST_F(LsCatTest, ChecksumAndLongExcludeEachOther) {
  EXPECT_EQ(RunCommand({"ls", "-l", "--checksum", Native("data")}).status, kExitUsage);
}

}  // namespace
}  // namespace pgstrata::cli
