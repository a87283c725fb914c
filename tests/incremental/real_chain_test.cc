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

  void Write(const std::string& path, const std::string& content) const {
    ASSERT_TRUE(io::WriteWholeFile(Native(path), content).has_value());
  }
  void Flip(const std::string& path, uint64_t offset) const {
    auto bytes = io::ReadWholeFile(Native(path)).value();
    bytes.at(offset) ^= 1;
    Write(path, bytes);
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

// There is no cache here that anything could be decoded into.
TEST_F(RealChainTest, CompressedBackupsAreFoundWithoutDecodingThem) {
  Unpack("tablespace_tar");
  for (const char* name : {"full", "incr1"}) {
    const auto packed =
        io::RunAndCapture({.argv = {"gzip", Native(std::string("tablespace_tar/") + name + "/base.tar")}});
    ASSERT_TRUE(packed && packed->status.AsShell() == 0) << name;
  }
  const auto listed = ListBackups(Native("tablespace_tar"));
  ASSERT_EQ(listed->size(), 2U);
  for (const auto& backup : *listed) EXPECT_TRUE(backup.facts) << backup.problem;
  const auto newest = NewestOf(*listed);
  ASSERT_EQ(newest.size(), 1U);
  EXPECT_EQ(FindChain(*newest[0].facts, newest[0].path, *listed).value(), std::vector{Native("tablespace_tar/full")});
}

struct Walked {
  Verified verified;
  std::vector<Damage> damages;
};

Walked Verify(const CombinedImage& image) {
  Walked walked;
  const auto keep = [&walked](const Damage& damage) { walked.damages.push_back(damage); };
  for (const auto& backup : image.files().chain()) {
    const auto verified = VerifyBackup(*backup.image, backup.facts.page_rules(), {.threads = 2}, keep);
    EXPECT_TRUE(verified.has_value()) << verified.error().message();
    if (verified) walked.verified += *verified;
  }
  return walked;
}

TEST_F(RealChainTest, VerifyFindsNothingInASoundChain) {
  Unpack("chain3");
  const auto image = Combined({"chain3/full", "chain3/incr1"}, "chain3/incr2");
  const auto walked = Verify(*image);
  for (const auto& damage : walked.damages)
    ADD_FAILURE() << damage.backup << ' ' << damage.path << ' ' << damage.problem;
  EXPECT_GT(walked.verified.files, 2700U);
  EXPECT_GT(walked.verified.pages, 3000U);
  const auto chain = VerifyChain(*image, [](const Damage& damage) { ADD_FAILURE() << damage.problem; });
  EXPECT_TRUE(chain.has_value());
}

TEST_F(RealChainTest, FlippedBytesAndLostFilesAreFoundWhereTheyAre) {
  Unpack("chain3");
  Flip("chain3/full/base/5/2608", 3 * 8192 + 5000);
  Flip("chain3/full/postgresql.conf", 17);
  ASSERT_TRUE(io::RemoveFile(Native("chain3/full/base/5/1255")).has_value());
  ASSERT_TRUE(io::WriteWholeFile(Native("chain3/incr1/base/5/extra"), "?").has_value());
  Write("chain3/full/PG_VERSION", "1");
  const auto image = Combined({"chain3/full", "chain3/incr1"}, "chain3/incr2");
  auto damages = Verify(*image).damages;
  std::ranges::sort(damages, {}, &Damage::path);
  ASSERT_EQ(damages.size(), 5U);
  EXPECT_EQ(damages[0].path, "PG_VERSION");
  EXPECT_EQ(damages[0].problem, "it has 1 bytes, not 3");
  EXPECT_EQ(damages[1].path, "base/5/1255");
  EXPECT_EQ(damages[1].problem, "it is missing");
  EXPECT_EQ(damages[2].path, "base/5/2608");
  EXPECT_EQ(damages[2].block, 3U);
  EXPECT_EQ(damages[2].backup, Native("chain3/full"));
  EXPECT_THAT(damages[2].problem, HasSubstr("checksum"));
  EXPECT_EQ(damages[3].path, "base/5/extra");
  EXPECT_EQ(damages[3].backup, Native("chain3/incr1"));
  EXPECT_EQ(damages[3].problem, "it is not in backup_manifest");
  EXPECT_EQ(damages[4].path, "postgresql.conf");
  std::set<std::string> lost;
  const auto chain = VerifyChain(*image, [&lost](const Damage& damage) { lost.insert(damage.path); });
  EXPECT_TRUE(chain.has_value());
  EXPECT_EQ(lost, std::set<std::string>{"base/5/1255"});
}

TEST_F(RealChainTest, DamagedManifestIsToldAndPagesAreStillLookedAt) {
  Unpack("chain3");
  Flip("chain3/full/backup_manifest", 500);
  Flip("chain3/full/base/5/2608", 3 * 8192 + 5000);
  const auto full = OpenBackup(Native("chain3/full"));
  std::vector<Damage> damages;
  const auto verified = VerifyBackup(**full, ReadFacts(**full)->page_rules(), {},
                                     [&](const Damage& damage) { damages.push_back(damage); });
  ASSERT_TRUE(verified.has_value());
  ASSERT_EQ(damages.size(), 2U);
  EXPECT_EQ(damages[0].path, "backup_manifest");
  EXPECT_EQ(damages[1].path, "base/5/2608");
  EXPECT_EQ(damages[1].block, 3U);
}

// pg_basebackup -R.
TEST_F(RealChainTest, WhatWasAppendedForAStandbyIsNoDamage) {
  Unpack("chain3");
  const std::string configuration = Native("chain3/full/postgresql.auto.conf");
  const auto text = io::ReadWholeFile(configuration);
  ASSERT_TRUE(io::WriteWholeFile(configuration, *text + "primary_conninfo = 'host=x'\n").has_value());
  ASSERT_TRUE(io::WriteWholeFile(Native("chain3/full/standby.signal"), "").has_value());
  const auto full = OpenBackup(Native("chain3/full"));
  const auto verified = VerifyBackup(**full, ReadFacts(**full)->page_rules(), {},
                                     [](const Damage& damage) { ADD_FAILURE() << damage.path; });
  EXPECT_TRUE(verified.has_value());
  Flip("chain3/full/postgresql.auto.conf", 5);
  const auto changed = VerifyBackup(**OpenBackup(Native("chain3/full")), {}, {}, [](const Damage&) {});
  EXPECT_EQ(changed->damages, 1U);
}

// No checksum that is compared when a part is read stands for a page but its own.
TEST_F(RealChainTest, ADamagedPageIsNeverGivenOut) {
  Unpack("chain3");
  const auto before = Combined({"chain3/full", "chain3/incr1"}, "chain3/incr2");
  const std::string path = "base/5/2608";
  ASSERT_TRUE(before->IsCombined(path));
  const auto map = before->files().Map(path);
  uint32_t block = 0;
  while (block < (*map)->length() && (*map)->Find(block).kind != BlockMap::Kind::kFull) ++block;
  ASSERT_LT(block, (*map)->length());
  Flip("chain3/full/" + path, uint64_t{block} * 8192 + 4000);
  const auto image = Combined({"chain3/full", "chain3/incr1"}, "chain3/incr2");
  const auto file = image->Open(path);
  ASSERT_TRUE(file.has_value());
  std::vector<std::byte> half(4096);
  for (const uint64_t offset : {uint64_t{block} * 8192, uint64_t{block} * 8192 + 4096}) {
    const auto read = (*file)->ReadAt(offset, half);
    ASSERT_FALSE(read.has_value());
    EXPECT_EQ(read.error().code(), ErrorCode::kCorrupt);
    EXPECT_THAT(read.error().message(), HasSubstr("block " + std::to_string(block) + " of \"base/5/2608\""));
    EXPECT_THAT(read.error().message(), HasSubstr(Native("chain3/full")));
  }
  for (uint32_t other = 0; other < (*map)->length(); ++other) {
    if (other != block) EXPECT_TRUE((*file)->ReadAt(uint64_t{other} * 8192, half).has_value()) << other;
  }
}

}  // namespace
}  // namespace pgstrata::incremental
