// Chains that PostgreSQL 17 made, against what pg_combinebackup wrote of them: tests/data/incremental/README.md.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <map>
#include <set>

#include "backup/image/checksum_list.h"
#include "catalog/incremental/backup_files.h"
#include "catalog/incremental/verify.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "foundation/io/process.h"
#include "tests/support/scratch_directory.h"

namespace pgstrata::incremental {
namespace {

using ::testing::HasSubstr;

struct Listed {
  std::string sha256;
  std::string size;
  std::string mode;
  bool operator==(const Listed&) const = default;
};
using Listing = std::map<std::string, Listed>;

class RealChainTest : public ::testing::Test {
 protected:
  void Unpack(const std::string& name) {
    const std::string archive = PGSTRATA_SOURCE_DIR "/tests/data/incremental/" + name + ".tar.zst";
    const auto run = io::RunAndCapture(
        {.argv = {"tar", "--zstd", "-xf", archive, "-C", scratch_.path(), "--no-same-owner"}, .standard_input = -1});
    ASSERT_TRUE(run.has_value()) << run.error().message();
    ASSERT_EQ(run->status.AsShell(), 0) << run->standard_error;
  }
  [[nodiscard]] std::string Native(const std::string& path) const { return JoinPath(scratch_.path(), path); }

  // What pg_combinebackup wrote, without what it made up.
  [[nodiscard]] Listing Oracle(const std::string& path) const {
    Listing listing;
    const auto text = io::ReadWholeFile(Native(path));
    EXPECT_TRUE(text.has_value());
    for (const auto line : SplitLines(text.value_or(""))) {
      const auto fields = Split(line, ' ');
      if (fields[0] == "dir" || fields[0] == "symlink" || fields[3] == "backup_manifest") continue;
      listing[std::string(fields[3])] = {std::string(fields[0]), std::string(fields[1]), std::string(fields[2])};
    }
    return listing;
  }
  [[nodiscard]] static Listing Shown(const image::Image& image) {
    Listing listing;
    const auto walked = image::VisitChecksums(image, "", 2, [&](const image::FileChecksum& file) -> Status {
      const std::string line = image::FormatChecksumLine(file);
      const auto fields = Split(line, ' ');
      if (file.path == "backup_manifest") return {};
      listing[file.path] = {std::string(fields[0]), std::string(fields[1]), std::string(fields[2])};
      return {};
    });
    EXPECT_TRUE(walked.has_value()) << walked.error().message();
    return listing;
  }
  static void ExpectEqual(const Listing& shown, const Listing& oracle) {
    ASSERT_GT(oracle.size(), 50U);
    for (const auto& [path, file] : oracle) {
      const auto found = shown.find(path);
      ASSERT_NE(found, shown.end()) << path;
      EXPECT_EQ(found->second.sha256 + ' ' + found->second.size + ' ' + found->second.mode,
                file.sha256 + ' ' + file.size + ' ' + file.mode)
          << path;
    }
    for (const auto& [path, file] : shown) EXPECT_TRUE(oracle.contains(path)) << path;
  }
  [[nodiscard]] std::unique_ptr<CombinedImage> Combined(const std::vector<std::string>& older,
                                                        const std::string& newest) const {
    std::vector<std::string> paths;
    for (const auto& path : older) paths.push_back(Native(path));
    auto image = OpenBackup(Native(newest));
    EXPECT_TRUE(image.has_value()) << image.error().message();
    auto facts = ReadFacts(**image);
    EXPECT_TRUE(facts.has_value()) << facts.error().message();
    auto combined = OpenChain(paths, {*std::move(image), *std::move(facts)});
    EXPECT_TRUE(combined.has_value()) << combined.error().message();
    return combined ? *std::move(combined) : nullptr;
  }

  test::ScratchDirectory scratch_;
};

TEST_F(RealChainTest, EveryPrefixOfAPlainChainIsWhatPgCombinebackupWrote) {
  Unpack("chain3");
  const auto full = OpenBackup(Native("chain3/full"));
  ExpectEqual(Shown(**full), Oracle("chain3.oracle/full.sha256"));
  const auto incr1 = Combined({"chain3/full"}, "chain3/incr1");
  ExpectEqual(Shown(*incr1), Oracle("chain3.oracle/incr1.sha256"));
  const auto incr2 = Combined({"chain3/full", "chain3/incr1"}, "chain3/incr2");
  ExpectEqual(Shown(*incr2), Oracle("chain3.oracle/incr2.sha256"));
  EXPECT_EQ(image::ReadSmallFile(*incr2, "backup_label").value_or("error"),
            io::ReadWholeFile(Native("chain3.oracle/incr2.combined.backup_label")).value_or("none"));
}

TEST_F(RealChainTest, TarsWithATablespaceAreWhatPgCombinebackupWrote) {
  Unpack("tablespace_tar");
  const auto full = OpenBackup(Native("tablespace_tar/full"));
  ASSERT_TRUE(full.has_value()) << full.error().message();
  ExpectEqual(Shown(**full), Oracle("tablespace_tar.oracle/full.sha256"));
  const auto incr1 = Combined({"tablespace_tar/full"}, "tablespace_tar/incr1");
  ExpectEqual(Shown(*incr1), Oracle("tablespace_tar.oracle/incr1.sha256"));
  EXPECT_EQ(image::ReadSmallFile(*incr1, "backup_label").value_or("error"),
            io::ReadWholeFile(Native("tablespace_tar.oracle/incr1.combined.backup_label")).value_or("none"));
}

TEST_F(RealChainTest, ChainIsFoundByWhatTheBackupsSay) {
  Unpack("chain3");
  const auto listed = ListBackups(Native("chain3"));
  ASSERT_EQ(listed->size(), 3U);
  const auto newest = NewestOf(*listed);
  ASSERT_EQ(newest.size(), 1U);
  EXPECT_EQ(newest[0].path, Native("chain3/incr2"));
  EXPECT_EQ(newest[0].facts->major_version, 17);
  EXPECT_EQ(FindChain(*newest[0].facts, newest[0].path, *listed).value(),
            (std::vector{Native("chain3/full"), Native("chain3/incr1")}));
}

TEST_F(RealChainTest, VerifyFindsNothingInASoundChain) {
  Unpack("chain3");
  const auto image = Combined({"chain3/full", "chain3/incr1"}, "chain3/incr2");
  const auto none = [](const Damage& damage) -> Status {
    ADD_FAILURE() << damage.backup << ' ' << damage.path << ' ' << damage.problem;
    return {};
  };
  for (const auto& backup : image->files().chain()) {
    const auto verified = VerifyAgainstManifest(*backup.image, none);
    ASSERT_TRUE(verified.has_value()) << verified.error().message();
    EXPECT_GT(verified->files, 900U);
  }
  const auto pages = VerifyPages(*image, none);
  ASSERT_TRUE(pages.has_value()) << pages.error().message();
  EXPECT_GT(pages->pages, 3000U);
}

TEST_F(RealChainTest, FlippedBytesAndLostFilesAreFoundWhereTheyAre) {
  Unpack("chain3");
  const std::string flipped = Native("chain3/full/base/5/2608");
  auto bytes = io::ReadWholeFile(flipped).value();
  bytes[3 * 8192 + 5000] ^= 1;
  ASSERT_TRUE(io::WriteWholeFile(flipped, bytes).has_value());
  ASSERT_TRUE(io::RemoveFile(Native("chain3/full/base/5/1255")).has_value());
  const auto image = Combined({"chain3/full", "chain3/incr1"}, "chain3/incr2");
  std::vector<Damage> damages;
  const auto keep = [&](const Damage& damage) -> Status {
    damages.push_back(damage);
    return {};
  };
  ASSERT_TRUE(VerifyAgainstManifest(*image->files().chain()[0].image, keep).has_value());
  ASSERT_EQ(damages.size(), 2U);
  for (const auto& damage : damages) EXPECT_EQ(damage.backup, Native("chain3/full"));
  damages.clear();
  const auto pages = VerifyPages(*image, keep);
  ASSERT_TRUE(pages.has_value());
  std::set<std::string> files;
  for (const auto& damage : damages) files.insert(damage.path);
  EXPECT_EQ(files, (std::set<std::string>{"base/5/1255", "base/5/2608"}));
  for (const auto& damage : damages) {
    ASSERT_TRUE(damage.block.has_value());
    if (damage.path != "base/5/2608") continue;
    EXPECT_EQ(damage.block, 3U);
    EXPECT_EQ(damage.backup, Native("chain3/full"));
    EXPECT_THAT(damage.problem, HasSubstr("checksum"));
  }
}

}  // namespace
}  // namespace pgstrata::incremental
