// `verify` and `snapshots` on backups that PostgreSQL 17 and pgBackRest made, sound and damaged; and what a mount does
// with the same damage.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "foundation/codec/json.h"
#include "foundation/io/directory.h"
#include "foundation/io/fd.h"
#include "foundation/io/file.h"
#include "tests/e2e/pgstrata_program.h"
#include "tests/support/flip.h"

namespace pgstrata::test {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

class VerifyCommand : public ::testing::Test {
 protected:
  void Unpack(const std::string& archive) const {
    test::Run({"tar", "--zstd", "-xf", std::string(PGSTRATA_SOURCE_DIR) + "/tests/data/" + archive, "-C",
               directory_.path(), "--no-same-owner"});
  }
  [[nodiscard]] std::string Native(const std::string& path) const { return directory_.Path(path); }
  void Flip(const std::string& path, uint64_t offset) const { FlipByte(Native(path), offset); }
  // `verify --json`, which ends with `status`.
  [[nodiscard]] codec::Json Verified(const std::string& source, int status) const {
    const auto run = program_.Run({"verify", "--json", source});
    EXPECT_EQ(run.status.AsShell(), status) << run.standard_output << run.standard_error;
    auto json = codec::ParseJson(run.standard_output);
    EXPECT_TRUE(json.has_value()) << run.standard_output;
    return json ? *std::move(json) : codec::Json();
  }

  TemporaryDirectory directory_;
  PgstrataProgram program_;
};

TEST_F(VerifyCommand, ASoundChainIsSound) {
  Unpack("incremental/chain3.tar.zst");
  const auto run = program_.Run({"verify", Native("chain3")});
  EXPECT_EQ(run.status.AsShell(), 0) << run.standard_error;
  EXPECT_THAT(run.standard_output, AllOf(HasSubstr("sound: "), HasSubstr("in 3 backups"), HasSubstr("WAL from")));
  EXPECT_EQ(run.standard_error, "");
  const auto json = Verified(Native("chain3/incr2"), 0);
  EXPECT_EQ(json["sound"], true);
  EXPECT_EQ(json["data_checksums"], true);
  EXPECT_GT(json["pages"], 3000);
  EXPECT_EQ(json["damages"].size(), 0U);
}

TEST_F(VerifyCommand, DamageOfAChainIsListedByBackupFileAndBlock) {
  Unpack("incremental/chain3.tar.zst");
  Flip("chain3/full/base/5/2608", 3 * 8192 + 5000);
  ASSERT_TRUE(io::RemoveFile(Native("chain3/incr1/postgresql.conf")).has_value());
  const auto json = Verified(Native("chain3/incr2"), 65);
  EXPECT_EQ(json["sound"], false);
  ASSERT_EQ(json["damages"].size(), 2U) << json["damages"].dump(1);
  EXPECT_EQ(json["damages"][0]["backup"], Native("chain3/full"));
  EXPECT_EQ(json["damages"][0]["path"], "base/5/2608");
  EXPECT_EQ(json["damages"][0]["block"], 3);
  EXPECT_EQ(json["damages"][1]["backup"], Native("chain3/incr1"));
  EXPECT_EQ(json["damages"][1]["path"], "postgresql.conf");
  const auto run = program_.Run({"verify", Native("chain3/incr2")});
  EXPECT_THAT(run.standard_output, HasSubstr(Native("chain3/full") + ": base/5/2608, block 3: "));
  EXPECT_THAT(run.standard_output, HasSubstr("damaged: 2 places in 2 files"));
}

TEST_F(VerifyCommand, WalThatIsMissingOrDamagedIsNamed) {
  Unpack("incremental/chain3.tar.zst");
  const auto names = io::ListDirectory(Native("chain3/full/pg_wal"));
  ASSERT_TRUE(names.has_value());
  const std::string segment = *std::ranges::find_if(*names, [](const auto& name) { return name.size() == 24; });
  const std::string path = "chain3/full/pg_wal/" + segment;
  Flip(path, 100);  // in the first record behind the page's header, or in what it is preceded by
  const auto damaged = program_.Run({"verify", Native("chain3/full")});
  EXPECT_EQ(damaged.status.AsShell(), 65) << damaged.standard_output;
  EXPECT_THAT(damaged.standard_output, HasSubstr("pg_wal/" + segment));
  ASSERT_TRUE(io::RemoveFile(Native(path)).has_value());
  const auto json = Verified(Native("chain3/full"), 78);
  ASSERT_EQ(json["damages"].size(), 1U);
  EXPECT_EQ(json["damages"][0]["path"], "pg_wal/" + segment);
  EXPECT_EQ(json["wal"]["is_missing"], true);
}

TEST_F(VerifyCommand, SnapshotsShowsTheChainAndWhatDoesNotOpen) {
  Unpack("incremental/chain3.tar.zst");
  fs::copy(Native("chain3/incr2"), Native("chain3/other"), fs::copy_options::recursive);
  ASSERT_TRUE(io::RemoveFile(Native("chain3/other/global/pg_control")).has_value());
  ASSERT_TRUE(io::WriteWholeFile(Native("chain3/other/global/pg_control"), "nothing").has_value());
  const auto run = program_.Run({"snapshots", Native("chain3")});
  EXPECT_EQ(run.status.AsShell(), 0) << run.standard_error;
  EXPECT_THAT(run.standard_output,
              AllOf(HasSubstr("\n  full "), HasSubstr("\n  + incr1 "), HasSubstr("\n    + incr2 "),
                    HasSubstr("pgstrata open " + Native("chain3/incr2")), HasSubstr("does not open: ")));
  const auto json = codec::ParseJson(program_.Run({"snapshots", "--json", Native("chain3")}).standard_output);
  ASSERT_TRUE(json.has_value());
  const auto& snapshots = (*json)["groups"][0]["snapshots"];
  ASSERT_EQ(snapshots.size(), 4U);
  for (const auto& snapshot : snapshots) {
    EXPECT_EQ(snapshot["opens"], snapshot["name"] != "other");
    if (snapshot["name"] == "incr2") EXPECT_EQ(snapshot["parent"], "incr1");
  }
}

TEST_F(VerifyCommand, SnapshotsOfARepositoryIncludeThoseThatAreBroken) {
  Unpack("pgbackrest/bundle_block_zst.tar.zst");
  const std::string repository = "bundle_block_zst/repo";
  const std::string broken = "20261120-210437F_20261120-210442I";
  for (const char* name : {"/backup.manifest", "/backup.manifest.copy"}) {
    Flip(repository + "/backup/main/" + broken + name, 5000);
  }
  const auto json = codec::ParseJson(program_.Run({"snapshots", "--json", Native(repository)}).standard_output);
  ASSERT_TRUE(json.has_value());
  const auto& snapshots = (*json)["groups"][0]["snapshots"];
  ASSERT_EQ(snapshots.size(), 4U);
  for (const auto& snapshot : snapshots) {
    EXPECT_EQ(snapshot["opens"], snapshot["name"] != broken) << snapshot.dump(1);
    EXPECT_EQ(snapshot["source"], "pgbackrest:" + Native(repository) + "/main/" + snapshot["name"].get<std::string>());
  }
}

// One damaged place for every kind of file that a repository has.
TEST_F(VerifyCommand, DamageOfARepositoryIsFoundWhereverItIs) {
  const std::string full = "bundle_block_zst/repo/backup/main/20261120-210437F";
  Unpack("pgbackrest/bundle_block_zst.tar.zst");
  const std::string source = "pgbackrest:" + Native("bundle_block_zst/repo/main/20261120-210437F");
  EXPECT_EQ(Verified(source, 0)["damages"].size(), 0U);
  Flip(full + "/pg_data/base/5/16384.pgbi", 700'000);
  Flip(full + "/backup.manifest", 5000);
  const auto json = Verified(source, 65);
  size_t blocks = 0;
  size_t lists = 0;
  for (const auto& damage : json["damages"]) {
    EXPECT_EQ(damage["backup"], "20261120-210437F");
    if (damage["path"] == "") ++lists;
    if (damage["path"] == "base/5/16384") ++blocks;
  }
  EXPECT_EQ(lists, 1U);
  EXPECT_GT(blocks, 0U);
  EXPECT_EQ(json["damages"].size(), lists + blocks) << json["damages"].dump(1);
}

// The errno of reading a block through a mount; 0 where it is read.
int ReadBlock(const std::string& path, uint64_t block) {
  constexpr size_t kPage = 8192;
  const io::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) return errno;
  std::string page(kPage, '\0');
  return ::pread(fd.get(), page.data(), kPage, static_cast<off_t>(block * kPage)) < 0 ? errno : 0;
}

TEST_F(VerifyCommand, AMountFailsReadsOfDamageAloneAndItsLogSaysWhere) {
  Unpack("incremental/chain3.tar.zst");
  Flip("chain3/full/base/5/2608", 3 * 8192 + 5000);
  fs::create_directory(Native("mnt"));
  const auto mounted = program_.Run({"mount", Native("chain3/incr2"), Native("mnt"), "--diff-dir", Native("diff")});
  ASSERT_EQ(mounted.status.AsShell(), 0) << mounted.standard_error;
  EXPECT_EQ(ReadBlock(Native("mnt/base/5/2608"), 3), EIO);
  EXPECT_EQ(ReadBlock(Native("mnt/base/5/2608"), 2), 0);
  EXPECT_EQ(ReadBlock(Native("mnt/base/5/2608"), 4), 0);
  EXPECT_EQ(ReadBlock(Native("mnt/base/5/1259"), 0), 0);
  EXPECT_EQ(program_.Run({"unmount", Native("mnt")}).status.AsShell(), 0);
  std::string log;
  for (const auto& entry : fs::recursive_directory_iterator(Native("diff"))) {
    if (entry.path().filename().string().ends_with("log")) log += io::ReadWholeFile(entry.path()).value_or("");
  }
  EXPECT_THAT(log, AllOf(HasSubstr("block 3 of \"base/5/2608\""), HasSubstr(Native("chain3/full"))));
}

}  // namespace
}  // namespace pgstrata::test
