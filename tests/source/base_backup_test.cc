#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "backup/source/source.h"
#include "foundation/base/text.h"
#include "foundation/base/types.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "tests/support/scratch_directory.h"
#include "tests/support/tar_writer.h"

namespace pgstrata::source {
namespace {

using ::testing::HasSubstr;

// The nth backup (from 1) starts at n and stands on the one before it. base/5/1 has a page of each.
class BaseBackupTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto control = io::ReadWholeFile(PGSTRATA_SOURCE_DIR "/tests/data/pgdata/17/pg_control");
    ASSERT_TRUE(control.has_value());
    control_ = *std::move(control);
  }

  [[nodiscard]] std::string Native(const std::string& path) const { return JoinPath(scratch_.path(), path); }

  static std::string Label(int number, bool incremental) {
    const auto lsn = [](int start) { return Lsn{static_cast<uint64_t>(start) << 24}.ToString(); };
    std::string text = "START WAL LOCATION: " + lsn(number) + " (file 00000001000000000000000" +
                       std::to_string(number) + ")\nCHECKPOINT LOCATION: " + lsn(number) +
                       "\nBACKUP METHOD: streamed\nBACKUP FROM: primary\nSTART TIME: 2026-11-20 21:03:0" +
                       std::to_string(number) + " UTC\nLABEL: base\nSTART TIMELINE: 1\n";
    if (incremental) text += "INCREMENTAL FROM LSN: " + lsn(number - 1) + "\nINCREMENTAL FROM TLI: 1\n";
    return text;
  }
  // Page number `number` in an INCREMENTAL file of a relation of ten pages.
  static std::string OnePage(int number) {
    std::string bytes;
    for (const uint32_t value : {0xD3AE1F0DU, 1U, 10U, static_cast<uint32_t>(number)}) {
      bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
    }
    bytes.resize(8192);
    return bytes + std::string(8192, static_cast<char>('0' + number));
  }
  using Files = std::vector<std::pair<std::string, std::string>>;
  [[nodiscard]] Files FilesOf(int number, bool incremental) const {
    return {{"PG_VERSION", "17\n"},
            {"backup_label", Label(number, incremental)},
            {"global/pg_control", control_},
            incremental ? std::pair<std::string, std::string>{"base/5/INCREMENTAL.1", OnePage(number)}
                        : std::pair{std::string("base/5/1"), std::string(81'920, '0')}};
  }
  void MakePlain(const std::string& path, int number, bool incremental) {
    for (const auto& [name, content] : FilesOf(number, incremental)) {
      const std::string native = Native(JoinPath(path, name));
      ASSERT_TRUE(io::MakeDirectories(std::string(SplitLast(native).first)).has_value());
      ASSERT_TRUE(io::WriteWholeFile(native, content).has_value());
    }
  }
  void MakeTar(const std::string& path, int number, bool incremental) {
    test::TarWriter tar;
    for (const auto& [name, content] : FilesOf(number, incremental)) tar.File(name, content);
    ASSERT_TRUE(io::MakeDirectories(Native(path)).has_value());
    ASSERT_TRUE(io::WriteWholeFile(Native(path + "/base.tar"), tar.Finish()).has_value());
  }
  // The first byte of each page of base/5/1, or what is wrong.
  [[nodiscard]] static std::string Pages(const SourceRequest& request) {
    const auto resolved = Resolve(request);
    if (!resolved) return resolved.error().message();
    const auto text = image::ReadSmallFile(*resolved->image, "base/5/1");
    if (!text) return text.error().message();
    std::string pages;
    for (size_t at = 0; at < text->size(); at += 8192) pages += (*text)[at];
    return pages;
  }

 private:
  test::ScratchDirectory scratch_;
  std::string control_;
};

TEST_F(BaseBackupTest, ChainIsNamedOldestFirstWithCommasOrOptionByOption) {
  MakePlain("a/full", 1, false);
  MakePlain("b/incr1", 2, true);
  MakePlain("c/incr2", 3, true);
  const std::string full = Native("a/full");
  const std::string incr1 = Native("b/incr1");
  const std::string incr2 = Native("c/incr2");
  EXPECT_EQ(Pages({.source = incr2, .chain = {full + ',' + incr1}}), "0023000000");
  EXPECT_EQ(Pages({.source = incr2, .chain = {full, incr1}}), "0023000000");
  EXPECT_EQ(Pages({.source = incr1, .chain = {full}}), "0020000000");
  const auto resolved = Resolve({.source = incr2, .chain = {full, incr1}});
  EXPECT_EQ(resolved->path, incr2);
  EXPECT_EQ(resolved->older, (std::vector{full, incr1}));
  EXPECT_FALSE(resolved->is_plain_directory);
  EXPECT_EQ(image::ReadSmallFile(*resolved->image, "backup_label").value(), Label(3, false));
}

TEST_F(BaseBackupTest, PathWithACommaIsGivenByItself) {
  MakePlain("full,really", 1, false);
  MakePlain("incr1", 2, true);
  MakePlain("elsewhere/incr2", 3, true);
  const std::string incr2 = Native("elsewhere/incr2");
  EXPECT_EQ(Pages({.source = incr2, .chain = {Native("full,really"), Native("incr1")}}), "0023000000");
  const auto split = Resolve({.source = incr2, .chain = {Native("full,really") + ',' + Native("incr1")}});
  ASSERT_FALSE(split.has_value());
  EXPECT_EQ(split.error().code(), ErrorCode::kNotFound);
  EXPECT_THAT(split.error().hint(), HasSubstr("a --chain of its own"));
}

TEST_F(BaseBackupTest, ChainIsFoundBesideTheBackupAndBelowADirectory) {
  MakePlain("set/full", 1, false);
  MakePlain("set/incr1", 2, true);
  MakePlain("set/incr2", 3, true);
  EXPECT_EQ(Pages({.source = Native("set/incr2")}), "0023000000");
  EXPECT_EQ(Pages({.source = Native("set/incr1")}), "0020000000");
  EXPECT_EQ(Pages({.source = Native("set/full")}), "0000000000");
  EXPECT_EQ(Resolve({.source = Native("set")})->path, Native("set/incr2"));
  MakePlain("elsewhere/incr2", 3, true);
  EXPECT_EQ(Pages({.source = Native("elsewhere/incr2"), .chain = {Native("set")}}), "0023000000");
}

TEST_F(BaseBackupTest, TarsAndPlainDirectoriesMix) {
  MakeTar("set/full", 1, false);
  MakePlain("set/incr1", 2, true);
  MakeTar("set/incr2", 3, true);
  EXPECT_EQ(Pages({.source = Native("set/incr2")}), "0023000000");
  EXPECT_EQ(Pages({.source = Native("set/incr2/base.tar"), .chain = {Native("set/full"), Native("set/incr1")}}),
            "0023000000");
  EXPECT_EQ(Pages({.source = Native("set/full")}), "0000000000");
  EXPECT_EQ(Pages({.source = "tar:" + Native("set/full")}), "0000000000");
  EXPECT_EQ(Resolve({.source = Native("set/full")})->path, Native("set/full"));
}

TEST_F(BaseBackupTest, SeveralChainsAskWhichOne) {
  MakePlain("set/full", 1, false);
  MakePlain("set/incr1", 2, true);
  MakePlain("set/other", 5, false);
  const auto resolved = Resolve({.source = Native("set")});
  ASSERT_FALSE(resolved.has_value());
  EXPECT_EQ(resolved.error().code(), ErrorCode::kInvalidArgument);
  EXPECT_THAT(resolved.error().hint(), HasSubstr("set/incr1 (incremental, 2026-11-20 21:03:02 UTC, base)"));
  EXPECT_THAT(resolved.error().hint(), HasSubstr("set/other (full, 2026-11-20 21:03:05 UTC, base)"));
  EXPECT_THAT(resolved.error().hint(), Not(HasSubstr("set/full")));
}

TEST_F(BaseBackupTest, ChainWithAGapNamesWhatIsMissing) {
  MakePlain("set/full", 1, false);
  MakePlain("set/incr2", 3, true);
  const auto resolved = Resolve({.source = Native("set/incr2")});
  ASSERT_FALSE(resolved.has_value());
  EXPECT_EQ(resolved.error().code(), ErrorCode::kNotFound);
  EXPECT_THAT(resolved.error().message(), HasSubstr("it starts at 0/2000000 of timeline 1"));
  EXPECT_THAT(resolved.error().hint(), HasSubstr("--chain"));
  const auto named = Resolve({.source = Native("set/incr2"), .chain = {Native("set/full")}});
  ASSERT_FALSE(named.has_value());
  EXPECT_EQ(named.error().code(), ErrorCode::kInvalidArgument);
  EXPECT_THAT(named.error().message(), HasSubstr("was taken against a backup that starts at 0/2000000"));
}

TEST_F(BaseBackupTest, ChainOfAFullBackupIsRefused) {
  MakePlain("full", 1, false);
  MakePlain("other", 2, false);
  const auto resolved = Resolve({.source = Native("full"), .chain = {Native("other")}});
  ASSERT_FALSE(resolved.has_value());
  EXPECT_THAT(resolved.error().message(), HasSubstr("is a full backup"));
}

}  // namespace
}  // namespace pgstrata::source
